"""The time stamps under which the packets of a video can be copied into another container."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from liveavatar.audio.io.container import build_timeout_error, open_media_file
from liveavatar.errors import VideoError
from liveavatar.files import describe_path
from liveavatar.video.picture_clock import PictureClock, stores_picture_times
from liveavatar.video.picture_stream import find_picture_stream


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureTimes:
    """When each packet of n is shown and when it must be decoded, in the order of the file.

    `shown` and `decoded` are integers in units of `time_base`, and all are different; the first picture is shown at 0.
    `start` is the second on the file's clock at which that is.
    """

    time_base: Fraction
    shown: tuple[int, ...]
    decoded: tuple[int, ...]
    start: Fraction


def read_picture_times(path: Path) -> PictureTimes:
    """Read the stamps of all packets; files that do not state when pictures are shown are decoded to find out.

    Raises:
        VideoError: the file cannot be read, or has no pictures.
    """
    shown, visible, time_base = _read_stated_times(path)
    if len(set(shown)) < len(shown) or None in shown or not stores_picture_times(path):
        shown = list(_decode_times(path, time_base))
    times = [time for time in shown if time is not None]
    if not times:
        raise VideoError(f"{describe_path(path.name)} has no pictures", "choose a video of a talking face")
    start = min((times[index] for index in visible), default=min(times))
    shown_from_0 = tuple(time - start for time in times)
    return PictureTimes(
        time_base=time_base,
        shown=shown_from_0,
        decoded=_order_decoding(shown_from_0),
        start=start * time_base,
    )


def demux_pictures(
    container: InputContainer, stream: VideoStream, path: Path
) -> Iterator["Packet[VideoStream]"]:
    """The packets that hold pictures, in the order of the file.

    Raises:
        VideoError: the file cannot be read, or not in time.
    """
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.error.ExitError as error:
        raise build_timeout_error(path, VideoError) from error
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{describe_path(path.name)} is damaged", "convert it to mp4 with another program"
        ) from error


def _read_stated_times(path: Path) -> tuple[list[int | None], list[int], Fraction]:
    """The stamps of the packets, the indices of those that an edit list does not cut off, and the unit."""
    with open_media_file(path, VideoError) as container:
        stream = find_picture_stream(container, path)
        shown: list[int | None] = []
        visible = []
        for packet in demux_pictures(container, stream, path):
            if not packet.is_discard:
                visible.append(len(shown))
            shown.append(packet.pts)
        return shown, visible, stream.time_base or Fraction(1, 1000)


def _decode_times(path: Path, time_base: Fraction) -> list[int]:
    """Decode all pictures; the decoder hands the number of each packet on to its picture."""
    is_sorted = not stores_picture_times(path)
    with open_media_file(path, VideoError) as container:
        stream = find_picture_stream(container, path)
        stream.thread_type = "AUTO"
        clock = PictureClock(stream, is_sorted)
        stated: list[int | None] = []
        times: dict[int, int] = {}
        for packet in demux_pictures(container, stream, path):
            clock.add_packet(packet)
            stated.append(packet.pts)
            packet.pts = packet.dts = len(stated) - 1
            for number in _decode_numbers(stream, packet, clock):
                times[number] = round(clock.find_time(stated[number]) / time_base)
        for number in _decode_numbers(stream, None, clock):
            times[number] = round(clock.find_time(stated[number]) / time_base)
    return _fill_unshown(times, len(stated))


def _decode_numbers(
    stream: VideoStream, packet: "Packet[VideoStream] | None", clock: PictureClock
) -> list[int]:
    try:
        frames = stream.codec_context.decode(packet)
    except av.error.FFmpegError:
        clock.drop_packet()
        return []
    return [frame.pts for frame in frames if frame.pts is not None]


def _fill_unshown(times: dict[int, int], count: int) -> list[int]:
    """Times of all packets: those without a picture, and those that rounding made equal, get the next free unit."""
    taken: set[int] = set()
    last = min(times.values(), default=0)
    filled = []
    for number in range(count):
        last = times.get(number, last)
        while last in taken:
            last += 1
        taken.add(last)
        filled.append(last)
    return filled


def _order_decoding(shown: tuple[int, ...]) -> tuple[int, ...]:
    """The latest decoding times that rise and let every picture be decoded before it is shown."""
    order = sorted(shown)
    delay = max(time - at for time, at in zip(order, shown, strict=True))
    return tuple(time - delay for time in order)

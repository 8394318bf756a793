"""Shift the sound of a video against its pictures, whose packets are copied unchanged."""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from liveavatar.audio.io.container import open_media_file
from liveavatar.errors import OutputError, VideoError
from liveavatar.files import atomic_write, check_output_path, describe_path, require_regular_file
from liveavatar.video.picture_stream import find_picture_stream
from liveavatar.video.picture_times import PictureTimes, demux_pictures, read_picture_times
from liveavatar.video.reader import find_sound_start, open_video
from liveavatar.video.sound_source import EncodedSound
from liveavatar.video.writer import explain_write_errors

_CONTAINER_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_CONTAINER_OPTIONS = {
    "avoid_negative_ts": "disabled",  # pictures that come in another order would start late
    "movflags": "use_metadata_tags",  # mp4 and mov: all tags, not only those of iTunes
}
_CONTAINER_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
"""Tags that describe the source's container, which the copy's muxer writes for its own."""
_CHECKED_SECONDS = 1  # of the copy, at its beginning and at its end


def shift_sound(
    source: str | Path, output: str | Path, lag: float, slope: float = 0.0, track: int | None = None
) -> None:
    """Copy `source` to `output` with its sound shifted: what plays at `t + lag + slope·t` plays at t, in seconds.

    `t` is a time on the source's clock; the output's clock starts at 0 with the first picture. The pictures' packets
    are copied bit for bit, with time stamps of our own where the source has none; what an edit list cuts off stays cut
    off. The sound is resampled if `slope` is
    not 0, and encoded as AAC (see `EncodedSound`). Tags of the file are copied. Other streams are dropped, and so are
    content credentials, which sign the source's bytes; `track` is the number of the sound
    track, from 1, None the one that players play.

    The file appears complete or not at all: before it gets its name, its packets are counted, and the pictures of its
    first and last second are decoded and compared in number with the source's.

    Raises:
        OutputError: see `check_remux_output`; the output cannot be written, or its format cannot hold the pictures.
        VideoError, AudioError: the source cannot be read, or its pictures cannot be copied.
    """
    source, output = require_regular_file(source, VideoError, "video"), Path(output)
    container_format = check_remux_output(source, output)
    begin = find_sound_start(source, track)
    if begin is None:
        raise VideoError(f"{describe_path(source.name)} has no sound", "choose a video with a sound track")
    times = read_picture_times(source)
    if container_format == "matroska" and min(times.shown) < 0:
        raise OutputError("matroska cannot hold pictures that an edit list cuts off", "name the output .mp4")
    sound_start = (float(begin) - lag) / (1 + slope) - float(times.start)
    with atomic_write(output) as partial:
        with ExitStack() as files:
            files.enter_context(explain_write_errors(output))
            target = files.enter_context(
                av.open(f"file:{partial}", "w", format=container_format, container_options=_CONTAINER_OPTIONS)
            )
            sound = EncodedSound(source, sound_start, slope, track)
            files.callback(sound.close)
            _copy_streams(source, times, target, sound)
        check_copied_pictures(source, partial, times)


def check_remux_output(source: Path, output: Path) -> str:
    """FFmpeg's name of the output's format.

    Raises:
        OutputError: the output is the source or another file that exists, its suffix is that of no such format, or
            its folder is missing.
    """
    check_output_path(output, {"the video": source})
    name = describe_path(output)
    container_format = _CONTAINER_FORMATS.get(output.suffix.lower())
    if container_format is None:
        raise OutputError(f"{name} does not end like a video", "let it end in .mp4, .mov or .mkv")
    if output.exists():
        raise OutputError(f"{name} exists", "choose another name, or remove it first")
    return container_format


def check_copied_pictures(source: Path, copy: Path, times: PictureTimes) -> None:
    """Compare a copy with its source: the number of packets, and of pictures in the first and the last second.

    Raises:
        VideoError: the copy lacks some.
    """
    with open_media_file(copy, VideoError) as container:
        stream = find_picture_stream(container, source)
        packet_count = sum(1 for _ in demux_pictures(container, stream, source))
    end = max(times.shown) * times.time_base - _CHECKED_SECONDS
    spans = ((None, Fraction(_CHECKED_SECONDS)), (max(end, Fraction(0)), None))
    is_complete = packet_count == len(times.shown) and all(
        _count_pictures(copy, start, stop, Fraction(0)) >= _count_pictures(source, start, stop, times.start)
        for start, stop in spans
    )
    if not is_complete or find_sound_start(copy) is None:
        raise VideoError(
            f"the pictures of {describe_path(source.name)} cannot be copied without a loss",
            "convert it to mp4 with another program, and fix that",
        )


def _count_pictures(path: Path, start: Fraction | None, stop: Fraction | None, origin: Fraction) -> int:
    """Pictures that can be decoded from `start` to `stop`, seconds after `origin`."""
    with open_video(path) as video:
        begin = None if start is None else start + origin
        end = None if stop is None else stop + origin
        return sum(1 for _ in video.read_between(begin, end))


def _copy_streams(source: Path, times: PictureTimes, target: OutputContainer, sound: EncodedSound) -> None:
    with open_media_file(source, VideoError) as container:
        pictures = find_picture_stream(container, source)
        copy = _add_copied_stream(target, pictures)
        target.metadata.update(
            {name: text for name, text in container.metadata.items() if name.lower() not in _CONTAINER_TAGS}
        )
        sound.attach_to_output(target)
        for packet in _stamp_packets(demux_pictures(container, pictures, source), times):
            now = (packet.pts or 0) * times.time_base
            packet.stream = copy
            target.mux(packet)
            for sound_packet in sound.read_packets(now):
                target.mux(sound_packet)
        for sound_packet in sound.read_remaining(None):
            target.mux(sound_packet)


def _stamp_packets(
    packets: Iterator["Packet[VideoStream]"], times: PictureTimes
) -> Iterator["Packet[VideoStream]"]:
    for packet, shown, decoded in zip(packets, times.shown, times.decoded, strict=False):
        packet.time_base = times.time_base
        packet.pts, packet.dts = shown, decoded
        yield packet


def _add_copied_stream(target: OutputContainer, source: VideoStream) -> VideoStream:
    try:
        return target.add_stream_from_template(source)
    except (ValueError, av.error.FFmpegError) as error:
        problem = f"{target.format.name} cannot hold pictures in {source.codec_context.name}"
        raise OutputError(problem, "name the output .mkv") from error

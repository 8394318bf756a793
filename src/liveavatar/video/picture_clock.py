"""When the pictures of a video are shown, whatever its time stamps are worth.

Pictures may be stored in another order than they are shown in. Good files say for every packet when its picture is
shown. AVI and files copied from it say in which order packets are read; others say nothing. No picture is left out for
that: the sorted stamps of the packets are given to the pictures in the order in which the decoder shows them, and
where there is no stamp, the frame rate counts on.
"""

import heapq
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

from av.packet import Packet
from av.video.stream import VideoStream

from liveavatar.audio.io.container import open_media_file
from liveavatar.errors import VideoError
from liveavatar.video.picture_stream import find_picture_stream

_PROBED_PACKETS = 100  # four seconds: far more than the sixteen pictures that H.264 may hold back
_DEFAULT_FPS = Fraction(25)  # of a file that states no frame rate
_MAX_GLITCH_SECONDS = 1  # a stamp that is farther back begins a new clock, as in joined recordings


class PictureClock:
    """Times of the pictures of one stream, in the order in which they are shown.

    `is_sorted` says that stamps belong to the packets' order and not to pictures, see `stores_picture_times`.
    Tell it of each packet, then ask for the time of each picture.
    """

    def __init__(self, stream: VideoStream, is_sorted: bool) -> None:
        self._time_base = stream.time_base or Fraction(1, 1000)
        self._frame_seconds = 1 / (stream.average_rate or stream.base_rate or _DEFAULT_FPS)
        self._is_sorted = is_sorted
        self._waiting_stamps: list[Fraction] = []
        self._packet_time = -self._frame_seconds
        self._last_time: Fraction | None = None
        self._shift = Fraction(0)

    def add_packet(self, packet: "Packet[VideoStream]") -> None:
        """Note a packet that the decoder gets."""
        if not self._is_sorted or not packet.size or packet.is_discard:
            return
        stamp = packet.pts if packet.dts is None else packet.dts
        is_known = stamp is not None
        self._packet_time = (
            (stamp or 0) * self._time_base if is_known else self._packet_time + self._frame_seconds
        )
        heapq.heappush(self._waiting_stamps, self._packet_time)

    def drop_packet(self) -> None:
        """Forget the last packet: the decoder refused it."""
        if self._packet_time in self._waiting_stamps:
            self._waiting_stamps.remove(self._packet_time)
            heapq.heapify(self._waiting_stamps)

    def find_time(self, pts: int | None) -> Fraction:
        """The second at which the next picture is shown; `pts` is its own stamp. Later than all before."""
        if self._is_sorted:
            stated = heapq.heappop(self._waiting_stamps) if self._waiting_stamps else None
        else:
            stated = None if pts is None else pts * self._time_base
        self._last_time = self._follow_last(stated)
        return self._last_time

    def _follow_last(self, stated: Fraction | None) -> Fraction:
        last = self._last_time
        if last is None:
            return stated or Fraction(0)
        if stated is None:
            return last + self._frame_seconds
        if (time := stated + self._shift) > last:
            return time
        if last - time < _MAX_GLITCH_SECONDS:
            return last + self._frame_seconds / 4  # the stamps that follow are still right
        self._shift = last + self._frame_seconds - stated
        return last + self._frame_seconds


def stores_picture_times(path: Path) -> bool:
    """Whether a video states when each picture is shown, and not only in which order packets are read.

    Stamps that never go back, in a stream whose pictures may be shown in another order, are taken for the latter. If
    no picture moves, both are the same.

    Raises:
        VideoError: the file cannot be read, or has no pictures.
    """
    with open_media_file(path, VideoError) as container:
        stream = find_picture_stream(container, path)
        packets = islice((packet for packet in container.demux(stream) if packet.size), _PROBED_PACKETS)
        stamps = [packet.pts for packet in packets if packet.pts is not None]
        if container.format.name == "avi" or not stamps:
            return False
        return not stream.codec_context.has_b_frames or any(a > b for a, b in pairwise(stamps))

"""Read a video picture by picture, each with its presentation time."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame as AvVideoFrame
from av.video.stream import VideoStream

from liveavatar.audio.io.container import build_timeout_error, open_media_file
from liveavatar.audio.io.track import choose_sound_track
from liveavatar.errors import VideoError
from liveavatar.files import describe_path, require_regular_file
from liveavatar.frames import Picture
from liveavatar.video.picture_clock import PictureClock, stores_picture_times
from liveavatar.video.picture_stream import find_picture_stream

_CONVERT_REMEDY = "convert it to mp4 with another program"
_MAX_RGB_PIXELS = 4096 * 4096
"""Larger pictures are halved on the way to RGB: no face needs more, and 8K takes 100 MB."""
_MAX_BROKEN_PACKETS = 100  # undecodable packets in a row after which reading ends


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimedPicture:
    """One picture, upright, uint8 [height, width, 3], and the second at which it is shown.

    Pictures of more than 16.8 megapixels come in half their size.
    """

    time: Fraction
    rgb: Picture


class VideoReader:
    """An open video: iterate it once for `TimedPicture`. Times are the file's time stamps, see `PictureClock`.

    `sound_start` is the time in seconds of the first audible sample, on the clock of the pictures; None without
    sound. `duration` in seconds and `fps` are what the file declares, and may be None. `sound_track_count` is the
    number of sound tracks.
    """

    def __init__(self, path: Path, track: int | None = None) -> None:
        self.path = path
        self._stores_picture_times = stores_picture_times(path)
        self.sound_start = find_sound_start(path, track)
        self._container = open_media_file(path, VideoError)
        self._stream = find_picture_stream(self._container, path)
        self._stream.thread_type = "AUTO"
        self._time_base = self._stream.time_base or Fraction(1, 1000)
        self.fps = self._stream.average_rate
        self.duration = _find_duration(self._container, self._stream)
        self.sound_track_count = len(self._container.streams.audio)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[TimedPicture]:
        return self.read_between(None, None)

    def read_between(self, start: Fraction | None, end: Fraction | None) -> Iterator[TimedPicture]:
        """Pictures shown within [start, end) seconds; None is the beginning or the end of the video.

        Raises:
            VideoError: the file is not read in time, or has no index to find `start`.
        """
        if start is not None:
            self._seek_to(start)
        clock = PictureClock(self._stream, is_sorted=not self._stores_picture_times)
        for frame in self._decode_frames(clock):
            time = clock.find_time(frame.pts)
            if end is not None and time >= end:
                return
            if start is None or time >= start:
                yield TimedPicture(time=time, rgb=_to_upright_rgb(frame))

    def _seek_to(self, start: Fraction) -> None:
        try:
            self._container.seek(int(start / self._time_base), stream=self._stream)
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{describe_path(self.path.name)} is damaged: its parts cannot be found", _CONVERT_REMEDY
            ) from error

    def _decode_frames(self, clock: PictureClock) -> Iterator[AvVideoFrame]:
        """All frames that can be decoded; broken packets are skipped, the other frames keep their time stamps."""
        failures = 0
        for packet in self._demux_pictures():
            clock.add_packet(packet)
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                clock.drop_packet()
                failures += 1
                if failures > _MAX_BROKEN_PACKETS:
                    return
                continue
            for frame in frames:
                failures = 0
                yield frame

    def _demux_pictures(self) -> Iterator["Packet[VideoStream]"]:
        try:
            yield from self._container.demux(self._stream)
        except av.error.ExitError as error:
            raise build_timeout_error(self.path, VideoError) from error
        except av.error.FFmpegError:  # the rest of a damaged file cannot be read
            return


def find_sound_start(path: Path, track: int | None = None) -> Fraction | None:
    """Time in seconds of the first audible sample of `path`, on the file's clock; None without sound.

    `track` is the number of the sound track, from 1; None is the one that players play.

    Raises:
        VideoError: the file cannot be read.
        AudioError: it has no such track.
    """
    with open_media_file(path, VideoError) as container:
        if not container.streams.audio:
            return None
        stream = choose_sound_track(container, path, track)
        try:
            for frame in container.decode(stream):
                if frame.samples and frame.pts is not None:
                    return frame.pts * (frame.time_base or Fraction(1, frame.sample_rate))
        except av.error.ExitError as error:
            raise build_timeout_error(path, VideoError) from error
        except av.error.FFmpegError as error:
            raise VideoError(
                f"the sound of {describe_path(path.name)} cannot be decoded", _CONVERT_REMEDY
            ) from error
    return None


def open_video(path: str | Path, track: int | None = None) -> VideoReader:
    """Open the pictures of a file: `with open_video(path) as video: for picture in video: ...`.

    `track` is that of the sound, see `find_sound_start`.

    Raises:
        VideoError: no such file, a folder, empty, not a video, or without pictures.
    """
    return VideoReader(require_regular_file(path, VideoError, "video"), track)


def _find_duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _to_upright_rgb(frame: AvVideoFrame) -> Picture:
    """RGB, rotated as the file's display matrix says; of very large pictures half the size."""
    scale = 2 if frame.width * frame.height > _MAX_RGB_PIXELS else 1
    rgb = frame.to_ndarray(
        format="rgb24", width=frame.width // scale, height=frame.height // scale, interpolation="AREA"
    )
    rotated = np.rot90(rgb, round(frame.rotation / 90)) if frame.rotation else rgb
    return np.ascontiguousarray(rotated, np.uint8)

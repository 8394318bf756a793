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
from av.video.frame import VideoFrame as AvVideoFrame
from av.video.stream import VideoStream

from liveavatar.audio.io.container import open_media_file
from liveavatar.audio.io.track import choose_sound_track
from liveavatar.errors import VideoError
from liveavatar.files import require_regular_file
from liveavatar.frames import Picture

_CONVERT_REMEDY = "convert it to mp4 with another program"
_MAX_BROKEN_PACKETS = 100  # undecodable packets in a row after which reading ends


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimedPicture:
    """One picture, upright, uint8 [height, width, 3], and the second at which it is shown."""

    time: Fraction
    rgb: Picture


class VideoReader:
    """An open video: iterate it once for `TimedPicture`. Times are the file's time stamps.

    `sound_start` is the time in seconds of the first audible sample, on the clock of the pictures; None without
    sound. `duration` in seconds and `fps` are what the file declares, and may be None. `sound_track_count` is the
    number of sound tracks.
    """

    def __init__(self, path: Path, track: int | None = None) -> None:
        self.path = path
        self._container = open_media_file(path, VideoError)
        self._stream = _select_video_stream(self._container, path)
        self._time_base = self._stream.time_base or Fraction(1, 1000)
        self.fps = self._stream.average_rate
        self.duration = _find_duration(self._container, self._stream)
        self.sound_start = find_sound_start(path, track)
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
        """Pictures shown within [start, end) seconds; None is the beginning or the end of the video."""
        if start is not None:
            self._container.seek(int(start / self._time_base), stream=self._stream)
        last: Fraction | None = None
        for frame in self._decode_frames():
            if frame.pts is None:
                continue
            time = frame.pts * self._time_base
            if end is not None and time >= end:
                return
            if (start is None or time >= start) and (last is None or time > last):
                last = time
                yield TimedPicture(time=time, rgb=_to_upright_rgb(frame))

    def _decode_frames(self) -> Iterator[AvVideoFrame]:
        """All frames that can be decoded; broken packets are skipped, the other frames keep their time stamps."""
        failures = 0
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                failures += 1
                if failures > _MAX_BROKEN_PACKETS:
                    return
                continue
            for frame in frames:
                failures = 0
                yield frame


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
                if isinstance(frame, av.AudioFrame) and frame.samples and frame.pts is not None:
                    return frame.pts * (frame.time_base or Fraction(1, frame.sample_rate))
        except av.error.FFmpegError as error:
            raise VideoError(f"the sound of {path.name} cannot be decoded", _CONVERT_REMEDY) from error
    return None


def find_picture_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is not a cover picture; None if there is none."""
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def open_video(path: str | Path, track: int | None = None) -> VideoReader:
    """Open the pictures of a file: `with open_video(path) as video: for picture in video: ...`.

    `track` is that of the sound, see `find_sound_start`.

    Raises:
        VideoError: no such file, a folder, empty, not a video, or without pictures.
    """
    return VideoReader(require_regular_file(path, VideoError, "video"), track)


def _select_video_stream(container: InputContainer, path: Path) -> VideoStream:
    stream = find_picture_stream(container)
    if stream is None:
        container.close()
        raise VideoError(f"{path.name} has no pictures", "choose a video of a talking face")
    stream.thread_type = "AUTO"
    return stream


def _find_duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _to_upright_rgb(frame: AvVideoFrame) -> Picture:
    """RGB, rotated as the file's display matrix says."""
    rgb = frame.to_ndarray(format="rgb24")
    rotated = np.rot90(rgb, round(frame.rotation / 90)) if frame.rotation else rgb
    return np.ascontiguousarray(rotated, np.uint8)

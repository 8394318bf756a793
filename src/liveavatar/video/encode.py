"""Pictures and sound into one mp4: H.264, AAC, index in front, constant frame rate. Synchronous."""

import contextlib
import math
import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from liveavatar.frames import Picture
from liveavatar.video.color import yuv420
from liveavatar.video.sound import Sound, open_sound

_X264 = {"preset": "veryfast", "crf": "18", "x264-params": "chromaloc=1"}  # color.yuv420 centres chroma
_MAX_THREADS = 8
_BT709 = 1  # ITU-T H.273, tables 2 to 4: primaries, transfer and matrix
_LIMITED = 1  # FFmpeg's AVCOL_RANGE_MPEG
_SOUND_STEP = Fraction(1, 4)  # seconds of sound encoded at a time


def has_encoder(name: str) -> bool:
    """Whether this FFmpeg can encode with codec `name`, such as "libx264"."""
    try:
        av.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


class Mp4Encoder:
    """Encodes pictures in order; sound follows them by at most a quarter second, so memory stays constant."""

    def __init__(
        self,
        path: Path,
        fps: Fraction,
        size: tuple[int, int],
        sound: Path | None,
        metadata: Mapping[str, str],
    ) -> None:
        self._fps = fps
        self._count = 0
        self._heard = Fraction(0)
        self._sound: Sound | None = None
        self._sane = True
        if sound is not None:
            self._sound = open_sound(sound)
        self._container = av.open(f"file:{path}", "w", format="mp4", container_options=self._options())
        self._container.metadata.update(metadata)
        self._video = self._add_video(size)
        if self._sound is not None:
            self._sound.attach(self._container)
        self._container.start_encoding()

    @property
    def frames(self) -> int:
        """Pictures taken so far."""
        return self._count

    def add(self, rgb: Picture) -> None:
        """Encode one picture, [height, width, 3]; does nothing once it has failed, as FFmpeg would crash."""
        if not self._sane:
            return
        self._sane = False
        frame = av.VideoFrame.from_ndarray(yuv420(rgb), format="yuv420p")
        frame.pts = self._count
        frame.time_base = 1 / self._fps
        frame.duration = 1
        self._container.mux(self._video.encode(frame))
        self._count += 1
        self._follow(self._count / self._fps)
        self._sane = True

    def finish(self) -> None:
        """Encode what is left and close the file."""
        self._container.mux(self._video.encode(None))
        if self._sound is not None:
            for packet in self._sound.finish(self._count / self._fps):
                self._container.mux(packet)
        self._container.close()

    def close(self) -> None:
        """Release everything; a file that was not finished is not usable."""
        if self._sound is not None:
            self._sound.close()
        with contextlib.suppress(av.error.FFmpegError):  # the error that led here is the one that counts
            self._container.close()

    def _options(self) -> dict[str, str]:
        """The file's clock counts both frames and samples exactly, where FFmpeg's own rounds to 1 ms."""
        rate = 1 if self._sound is None else self._sound.rate
        clock = math.lcm(self._fps.numerator, rate)
        return {"movflags": "faststart+use_metadata_tags", "movie_timescale": str(clock)}

    def _add_video(self, size: tuple[int, int]) -> VideoStream:
        video = self._container.add_stream("libx264", rate=self._fps, options=dict(_X264))
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        context = video.codec_context
        context.time_base = 1 / self._fps
        context.thread_count = min(len(os.sched_getaffinity(0)), _MAX_THREADS)
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED
        return video

    def _follow(self, now: Fraction) -> None:
        if self._sound is None or now < self._heard + _SOUND_STEP:
            return
        for packet in self._sound.packets(now):
            self._container.mux(packet)
        self._heard = now

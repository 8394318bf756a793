"""Encode pictures and sound into a file, at a constant frame rate, the index in front. Synchronous."""

import contextlib
import math
import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from liveavatar.audio.dsp.playback_repair import NO_REPAIR, PlaybackRepair
from liveavatar.frames import Picture
from liveavatar.video.color import rgb_to_yuv420
from liveavatar.video.formats import VideoFormat
from liveavatar.video.sound_source import SoundSource, open_sound_source

_MAX_THREADS = 8
_BT709 = 1  # ITU-T H.273, tables 2 to 4: primaries, transfer and matrix
_LIMITED_RANGE = 1  # FFmpeg's AVCOL_RANGE_MPEG
_SOUND_STEP_SECONDS = Fraction(1, 4)  # encoded at a time


class VideoFileEncoder:
    """Encodes pictures in order. The sound follows within a quarter second, so memory stays constant."""

    def __init__(
        self,
        path: Path,
        fps: Fraction,
        size: tuple[int, int],
        sound: Path | None,
        metadata: Mapping[str, str],
        video_format: VideoFormat,
        sound_track: int | None = None,
        sound_repair: PlaybackRepair = NO_REPAIR,
    ) -> None:
        self._fps, self._format = fps, video_format
        self._frame_count = 0
        self._sound_time = Fraction(0)
        self._sound: SoundSource | None = None
        self._is_usable = True
        if sound is not None:
            self._sound = open_sound_source(sound, sound_track, sound_repair, video_format.sound)
        self._container = av.open(
            f"file:{path}",
            "w",
            format=video_format.container.muxer,
            container_options=self._build_container_options(),
        )
        self._container.metadata.update(metadata)
        self._video_stream = self._add_video_stream(size)
        if self._sound is not None:
            self._sound.attach_to_output(self._container)
        self._container.start_encoding()

    @property
    def frame_count(self) -> int:
        """Number of pictures encoded."""
        return self._frame_count

    def add_picture(self, rgb: Picture, opacity: NDArray[np.uint8] | None = None) -> None:
        """Encode one picture, [height, width, 3], with its opacity [height, width] if the format has one.

        After a failure it does nothing: FFmpeg would crash.
        """
        if not self._is_usable:
            return
        self._is_usable = False
        frame = self._build_frame(rgb, opacity)
        frame.pts = self._frame_count
        frame.time_base = 1 / self._fps
        frame.duration = 1
        self._container.mux(self._video_stream.encode(frame))
        self._frame_count += 1
        self._encode_sound(self._frame_count / self._fps)
        self._is_usable = True

    def finish(self) -> None:
        """Flush the encoders and close the file."""
        self._container.mux(self._video_stream.encode(None))
        if self._sound is not None:
            for packet in self._sound.read_remaining(self._frame_count / self._fps):
                self._container.mux(packet)
        self._container.close()

    def close(self) -> None:
        """Release everything; without `finish` before, the file is not usable."""
        if self._sound is not None:
            self._sound.close()
        with contextlib.suppress(av.error.FFmpegError):  # the error that led here is reported
            self._container.close()

    def _build_frame(self, rgb: Picture, opacity: NDArray[np.uint8] | None) -> av.VideoFrame:
        if opacity is None:
            return av.VideoFrame.from_ndarray(rgb_to_yuv420(rgb), format="yuv420p")
        frame = av.VideoFrame.from_ndarray(np.dstack([rgb, opacity]), format="rgba")
        return frame.reformat(
            format=self._format.codec.pixel_format, dst_colorspace="ITU709", dst_color_range="MPEG"
        )

    def _build_container_options(self) -> dict[str, str]:
        """The movie time scale counts frames and samples exactly; FFmpeg's default rounds to 1 ms, as WebM must."""
        rate = 1 if self._sound is None else self._sound.rate
        clock = math.lcm(self._fps.numerator, rate)
        options = dict(self._format.container.options)
        return options | ({"movie_timescale": str(clock)} if "movflags" in options else {})

    def _add_video_stream(self, size: tuple[int, int]) -> VideoStream:
        codec = self._format.codec
        if codec.encoder == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # only errors on the terminal: it has no option for that
        video = cast(
            VideoStream,
            self._container.add_stream(codec.encoder, rate=self._fps, options=self._format.codec_options),
        )
        video.width, video.height = size
        video.pix_fmt = codec.pixel_format
        context = video.codec_context
        if codec.tag and self._format.container.muxer != "webm":
            context.codec_tag = codec.tag
        context.time_base = 1 / self._fps
        context.thread_count = min(len(os.sched_getaffinity(0)), _MAX_THREADS)
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED_RANGE
        return video

    def _encode_sound(self, now: Fraction) -> None:
        if self._sound is None or now < self._sound_time + _SOUND_STEP_SECONDS:
            return
        for packet in self._sound.read_packets(now):
            self._container.mux(packet)
        self._sound_time = now

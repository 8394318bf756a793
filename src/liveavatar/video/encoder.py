"""Encode pictures and sound into an mp4: H.264, AAC, constant frame rate, index in front. Synchronous."""

import contextlib
import math
import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from liveavatar.audio.dsp.playback_repair import NO_REPAIR, PlaybackRepair
from liveavatar.frames import Picture
from liveavatar.video.color import rgb_to_yuv420
from liveavatar.video.sound_source import SoundSource, open_sound_source

_X264_OPTIONS = {
    "preset": "veryfast",
    "crf": "18",
    "x264-params": "chromaloc=1",
}  # rgb_to_yuv420 centres chroma
_MAX_THREADS = 8
_BT709 = 1  # ITU-T H.273, tables 2 to 4: primaries, transfer and matrix
_LIMITED_RANGE = 1  # FFmpeg's AVCOL_RANGE_MPEG
_SOUND_STEP_SECONDS = Fraction(1, 4)  # encoded at a time


def has_encoder(name: str) -> bool:
    """Whether this FFmpeg can encode with codec `name`, such as "libx264"."""
    try:
        av.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


class Mp4Encoder:
    """Encodes pictures in order. The sound follows within a quarter second, so memory stays constant."""

    def __init__(
        self,
        path: Path,
        fps: Fraction,
        size: tuple[int, int],
        sound: Path | None,
        metadata: Mapping[str, str],
        sound_track: int | None = None,
        sound_repair: PlaybackRepair = NO_REPAIR,
    ) -> None:
        self._fps = fps
        self._frame_count = 0
        self._sound_time = Fraction(0)
        self._sound: SoundSource | None = None
        self._is_usable = True
        if sound is not None:
            self._sound = open_sound_source(sound, sound_track, sound_repair)
        self._container = av.open(
            f"file:{path}", "w", format="mp4", container_options=self._build_container_options()
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

    def add_picture(self, rgb: Picture) -> None:
        """Encode one picture, [height, width, 3]. After a failure it does nothing: FFmpeg would crash."""
        if not self._is_usable:
            return
        self._is_usable = False
        frame = av.VideoFrame.from_ndarray(rgb_to_yuv420(rgb), format="yuv420p")
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

    def _build_container_options(self) -> dict[str, str]:
        """The movie time scale counts frames and samples exactly; FFmpeg's default rounds to 1 ms."""
        rate = 1 if self._sound is None else self._sound.rate
        clock = math.lcm(self._fps.numerator, rate)
        return {"movflags": "faststart+use_metadata_tags", "movie_timescale": str(clock)}

    def _add_video_stream(self, size: tuple[int, int]) -> VideoStream:
        video = self._container.add_stream("libx264", rate=self._fps, options=dict(_X264_OPTIONS))
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        context = video.codec_context
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

"""Sessions that give what the public reference makes of a whole recording, for comparison with it.

Nothing comes before the sound has ended, and memory grows with its length, as there.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from torch import Tensor

from liveavatar.dit.codecs import frame_features, image
from liveavatar.dit.loader import DitModels
from liveavatar.dit.parity.whole_file import REFERENCE_SINK_DISTANCE, draw_reference_clips
from liveavatar.dit.plan.config import MODEL_FPS, frame_to_picture
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.streaming.decoding import video_to_rgb
from liveavatar.errors import SessionClosed
from liveavatar.frames import Picture, Samples, VideoFrame
from liveavatar.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceActor:
    """A portrait, framed as the reference does: with black bars where its shape does not fit."""

    models: DitModels
    options: DitOptions
    portrait: Picture
    size: tuple[int, int]

    def session(self, fps: Fraction, seed: int) -> "ReferenceSession":
        """One recording."""
        return ReferenceSession(self, fps, seed)

    def draw_clips(self, samples: Samples, seed: int) -> Iterator[Tensor]:
        """Pictures [1, 3, P, H, W] in -1…1 of one clip after the other."""
        config = replace(self.options.to_stream_config(), sink_distance=REFERENCE_SINK_DISTANCE)
        clip = config.clip_blocks * config.block_pictures
        picture = image.frame_portrait(self.portrait, self.size, black_bars=True)[None]
        return draw_reference_clips(
            self.models.dit,
            self.models.vae,
            picture.to(self.models.prompt_embedding.device),
            self.models.prompt_embedding,
            frame_features.bucket_by_clip(
                frame_features.resample_to_30_hz(self.models.audio(samples)), fps=MODEL_FPS, clip=clip
            )[None],
            config=config,
            seed=seed,
            online=self.options.online_decode,
        )


class ReferenceSession:
    """Collects a recording; its frames come after `flush()`."""

    def __init__(self, actor: ReferenceActor, fps: Fraction, seed: int) -> None:
        self._actor = actor
        self._timeline = Timeline(fps=fps)
        self._seed = seed
        self._sound: list[Samples] = []
        self._pending_frames: Iterator[VideoFrame] | None = None

    @property
    def lookahead(self) -> int:
        """All of it."""
        return sys.maxsize

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length."""
        if self._pending_frames is not None:
            raise SessionClosed("the session has been flushed", "open a new one")
        self._sound.append(np.array(samples, np.float32))

    def flush(self) -> None:
        """The sound is over."""
        if self._pending_frames is None:
            self._pending_frames = self._draw_frames(np.concatenate([np.zeros(0, np.float32), *self._sound]))

    def interrupt(self) -> None:
        """Forget the sound; after `flush()`, the frames that were not taken."""
        self._sound = []
        if self._pending_frames is not None:
            self._pending_frames = iter(())

    def frames(self) -> Iterator[VideoFrame]:
        """All frames once the sound is over, none before."""
        while self._pending_frames is not None and (frame := next(self._pending_frames, None)) is not None:
            yield frame

    def _draw_frames(self, samples: Samples) -> Iterator[VideoFrame]:
        """The reference's pictures, which come 3 too early, by time; the last one stands to the end of the sound."""
        pictures = (
            picture
            for clip in self._actor.draw_clips(samples, self._seed)
            for picture in video_to_rgb(clip, rounded=False).cpu().numpy()
        )
        number, picture = -1, None
        for frame in range(self._timeline.frame_count(len(samples))):
            while number < frame_to_picture(frame, self._timeline.fps):
                number, picture = number + 1, next(pictures, picture)
            if picture is not None:
                yield VideoFrame(rgb=picture, pts=frame, fps=self._timeline.fps)

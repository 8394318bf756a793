"""Sessions that give what the public reference makes of a whole recording, for comparison with it.

Nothing comes before the sound has ended, and memory grows with its length, as there.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from torch import Tensor

from liveavatar.dit import audio_columns, image
from liveavatar.dit.config import FPS, picture_shown
from liveavatar.dit.decoding import as_levels
from liveavatar.dit.models import Models
from liveavatar.dit.options import DitOptions
from liveavatar.dit.reference import DISTANCE, whole_file
from liveavatar.errors import SessionClosed
from liveavatar.frames import Picture, Samples, VideoFrame
from liveavatar.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceActor:
    """A portrait, framed as the reference does: with black bars where its shape does not fit."""

    models: Models
    options: DitOptions
    portrait: Picture
    size: tuple[int, int]

    def session(self, fps: Fraction, seed: int) -> "ReferenceSession":
        """One recording."""
        return ReferenceSession(self, fps, seed)

    def clips(self, samples: Samples, seed: int) -> Iterator[Tensor]:
        """Pictures [1, 3, P, H, W] in -1…1 of one clip after the other."""
        config = replace(self.options.stream(), distance=DISTANCE)
        clip = config.clip_blocks * config.block_pictures
        picture = image.prepare(self.portrait, self.size, bars=True)[None]
        return whole_file(
            self.models.dit,
            self.models.vae,
            picture.to(self.models.prompt.device),
            self.models.prompt,
            audio_columns.bucket(audio_columns.at_30_hz(self.models.audio(samples)), fps=FPS, clip=clip)[
                None
            ],
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
        self._made: Iterator[VideoFrame] | None = None

    @property
    def lookahead(self) -> int:
        """All of it."""
        return sys.maxsize

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length."""
        if self._made is not None:
            raise SessionClosed("the session has been flushed", "open a new one")
        self._sound.append(np.array(samples, np.float32))

    def flush(self) -> None:
        """The sound is over."""
        if self._made is None:
            self._made = self._frames(np.concatenate([np.zeros(0, np.float32), *self._sound]))

    def interrupt(self) -> None:
        """Forget the sound; after `flush()`, the frames that were not taken."""
        self._sound = []
        if self._made is not None:
            self._made = iter(())

    def frames(self) -> Iterator[VideoFrame]:
        """All frames once the sound is over, none before."""
        while self._made is not None and (frame := next(self._made, None)) is not None:
            yield frame

    def _frames(self, samples: Samples) -> Iterator[VideoFrame]:
        """The reference's pictures, which come 3 too early, by time; the last one stands to the end of the sound."""
        pictures = (
            picture
            for clip in self._actor.clips(samples, self._seed)
            for picture in as_levels(clip, rounded=False).cpu().numpy()
        )
        number, picture = -1, None
        for frame in range(self._timeline.frame_count(len(samples))):
            while number < picture_shown(frame, self._timeline.fps):
                number, picture = number + 1, next(pictures, picture)
            if picture is not None:
                yield VideoFrame(rgb=picture, pts=frame, fps=self._timeline.fps)

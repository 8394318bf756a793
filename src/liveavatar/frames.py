"""What flows through the program: pieces of sound in, pictures out."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono sound, shape [samples], nominally within -1…1."""

Picture = NDArray[np.uint8]
"""RGB, shape [height, width, 3]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioChunk:
    """A run of sound: `samples` float32 [samples, channels] at `rate` Hz; `pts` is the index of its first sample."""

    samples: NDArray[np.float32]
    rate: int
    pts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFrame:
    """Picture number `pts` of a video at `fps`."""

    rgb: Picture
    pts: int
    fps: Fraction

    @property
    def time(self) -> Fraction:
        """Seconds at which it is shown."""
        return self.pts / self.fps

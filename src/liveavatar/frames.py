"""Types that all rooms share: samples, chunks of sound, pictures, video frames."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono sound, float32 [samples], nominally within -1…1."""

Picture = NDArray[np.uint8]
"""RGB, uint8 [height, width, 3]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioChunk:
    """Sound, float32 [samples, channels] at `rate` Hz; `pts` is the index of its first sample in the stream."""

    samples: NDArray[np.float32]
    rate: int
    pts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFrame:
    """Picture number `pts`, from 0, of a video at `fps`.

    `opacity`, uint8 [height, width], is there if the person was separated from the background; `rgb` is then the
    person's colour, not premultiplied.
    """

    rgb: Picture
    pts: int
    fps: Fraction
    opacity: NDArray[np.uint8] | None = None

    @property
    def time(self) -> Fraction:
        """The time in seconds at which it is shown."""
        return self.pts / self.fps

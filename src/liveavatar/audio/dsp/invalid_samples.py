"""Float samples that are not numbers, or too large to be sound."""

import numpy as np
from numpy.typing import NDArray

MAX_AMPLITUDE = 1e6
"""120 dB over full scale, where full scale is 1. A larger value is damage."""


def silence_invalid_samples(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """Set NaN, infinity and what exceeds `MAX_AMPLITUDE` to zero, float32 [n, channels].

    Returns the samples, and how many of the n had an invalid value in any channel.
    """
    invalid = ~(np.abs(samples) <= MAX_AMPLITUDE)
    if not invalid.any():
        return samples, 0
    return np.where(invalid, np.float32(0), samples), int(invalid.any(axis=1).sum())

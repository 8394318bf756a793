"""Clipped samples: flat tops, at whatever level the clipping happened."""

import numpy as np
from numpy.typing import NDArray

_MIN_PEAK = 0.1  # amplitude; quieter tops do not matter
_NEAR_PEAK_SHARE = 0.7  # clipping flattens tops near the peak
_FLAT_STEP = 5e-4  # largest difference of neighbours on a flat top
_EDGE_STEP = 8 * _FLAT_STEP  # step into or out of a flat top; the round top of a slow wave has none


def count_clipped_samples(samples: NDArray[np.float32]) -> int:
    """How many samples of one channel [n] lie on flat tops: three or more equal ones, entered or left by a step."""
    height = np.abs(samples)
    if len(samples) < 5 or height.max() < _MIN_PEAK:
        return 0
    near = np.flatnonzero(height[1:-2] >= _NEAR_PEAK_SHARE * height.max()) + 1
    flat = near[np.abs(samples[near] - samples[near + 1]) <= _FLAT_STEP]
    if not len(flat):
        return 0
    breaks = np.flatnonzero(np.diff(flat) != 1)
    first = flat[np.concatenate([[0], breaks + 1])]
    last = flat[np.concatenate([breaks, [len(flat) - 1]])] + 1
    edge = np.maximum(np.abs(samples[first] - samples[first - 1]), np.abs(samples[last + 1] - samples[last]))
    lengths = last - first + 1
    return int(lengths[(lengths >= 3) & (edge >= _EDGE_STEP)].sum())

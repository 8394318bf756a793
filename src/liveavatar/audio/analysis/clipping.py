"""Clipped sound: tops cut off flat, at whatever level that happened."""

import numpy as np
from numpy.typing import NDArray

_MIN_PEAK = 0.1  # quieter tops do not matter
_NEAR_PEAK_SHARE = 0.7  # share of the highest sample from where a top may be flat
_FLAT_STEP = 5e-4  # change between neighbours that counts as none
_EDGE_STEP = 8 * _FLAT_STEP  # change into or out of a cut top; the round top of a slow wave has no such edge


def count_clipped_samples(samples: NDArray[np.float32]) -> int:
    """How many samples [n] of one channel lie on flat tops: three or more alike, entered or left abruptly."""
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

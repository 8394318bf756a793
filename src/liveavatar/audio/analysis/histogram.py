"""Histograms of levels: percentiles of a stream of any duration in constant memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def level_to_bin(levels: NDArray[np.floating[Any]], lowest: int, count: int) -> NDArray[np.intp]:
    """Levels in dB to one of `count` bins of 1 dB, the first centred at `lowest`; levels outside go to the ends."""
    return np.asarray(np.clip(np.round(levels) - lowest, 0, count - 1), np.intp)


def find_percentile_bin(counts: NDArray[np.int64], share: float) -> NDArray[np.intp]:
    """The first bin up to which at least `share` of the counts lie, along the last axis."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray((counts.cumsum(axis=-1) >= share * total).argmax(axis=-1))

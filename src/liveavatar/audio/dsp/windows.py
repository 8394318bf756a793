"""Overlapping windows of samples and of rows, as views that copy nothing.

The views are made by hand: numpy's `sliding_window_view` takes ten times as long, which counts in a live stream.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def slice_windows(samples: NDArray[Scalar], size: int, hop: int, count: int | None = None) -> NDArray[Scalar]:
    """Windows of `size` samples, `hop` apart, [count, size]; without `count`, all that fit."""
    samples = np.ascontiguousarray(samples)
    if count is None:
        count = max(0, (len(samples) - size) // hop + 1)
    step = samples.itemsize
    return np.ndarray((count, size), samples.dtype, samples, 0, (hop * step, step))


def stack_taps(rows: NDArray[Scalar], taps: int, stride: int = 1, dilation: int = 1) -> NDArray[Scalar]:
    """What a convolution over time reads: rows `dilation` apart, oldest first, [n, taps, width].

    Only positions where all taps lie inside `rows` [m, width]; every `stride`-th of them.
    """
    rows = np.ascontiguousarray(rows)
    count = -(-(len(rows) - (taps - 1) * dilation) // stride)
    row, step = rows.strides
    shape = (max(0, count), taps, rows.shape[1])
    return np.ndarray(shape, rows.dtype, rows, 0, (stride * row, dilation * row, step))

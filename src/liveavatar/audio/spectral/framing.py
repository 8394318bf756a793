"""Frames of equal size: of a stream in chunks, and as views of arrays.

The views are made by hand: numpy's `sliding_window_view` takes ten times as long, which counts in a live stream.
"""

from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


class StreamFramer:
    """Cuts a stream into frames of `size` samples, one every `hop`. A `hop` over `size` skips samples.

    Streams are float32 [n], or [channels, n] if `channels` is given. Any chunking gives the same frames.
    """

    def __init__(self, size: int, hop: int, channels: int | None = None) -> None:
        self._size, self._hop = size, hop
        self._shape = () if channels is None else (channels,)
        self.clear()

    def clear(self) -> None:
        """Drop everything: ready for another stream."""
        self._pending = np.empty((*self._shape, 0), np.float32)
        self._skip_count = 0

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples; gives the frames that are complete, [count, size] or [count, channels, size]."""
        used = samples[..., self._skip_count :]
        self._skip_count -= samples.shape[-1] - used.shape[-1]
        pending = np.concatenate([self._pending, used], axis=-1)
        length = pending.shape[-1]
        if length < self._size:
            self._pending = pending
            return np.empty((0, *self._shape, self._size), np.float32)
        frames = sliding_window_view(pending, self._size, axis=-1)[..., :: self._hop, :]
        start = frames.shape[-2] * self._hop
        self._skip_count = max(0, start - length)
        self._pending = pending[..., start:]
        return np.moveaxis(frames, -2, 0)

    def flush(self) -> NDArray[np.float32]:
        """End the stream: gives the last samples as one frame, filled with silence, or no frame if none are left."""
        missing = self._size - self._pending.shape[-1]
        is_empty = missing == self._size
        self._skip_count = 0
        frames = self.push(np.zeros((*self._shape, 0 if is_empty else missing), np.float32))
        self.clear()
        return frames


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

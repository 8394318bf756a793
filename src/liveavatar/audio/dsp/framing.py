"""One stream cut into frames of equal size, whatever the size of its chunks."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


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

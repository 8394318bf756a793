"""To another sample rate, by soxr at its highest quality: streaming, no net delay, exact length."""

from typing import Protocol

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from liveavatar.timeline import SAMPLE_RATE, rescale_count


class StreamResampler(Protocol):
    """A resampler of one stream."""

    @property
    def from_rate(self) -> int:
        """Samples a second going in."""
        ...

    def resample_chunk(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Resample float32 [n, channels]; `last=True` ends the stream."""
        ...


class Resampler:
    """One stream from `from_rate` to `to_rate` Hz. Any chunking gives the same samples to the last bit.

    An impulse stays at its time. The whole output has `round(n·to_rate/from_rate)` samples for n samples in,
    and at least one when there was any. Output lags up to about 110 ms behind input while the stream runs
    (the filter's blocks), which `last=True` releases.
    """

    def __init__(self, from_rate: int, to_rate: int = SAMPLE_RATE, channels: int = 1) -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        same = from_rate == to_rate
        self._soxr = None if same else soxr.ResampleStream(from_rate, to_rate, channels, quality="VHQ")
        self._input_count = 0
        self._output_count = 0

    def resample_chunk(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Resample float32 [n] or [n, channels]; what comes back has the same number of axes.

        `last=True` ends the stream, gives everything still inside and makes the object ready for another.
        """
        self._input_count += len(samples)
        if self._soxr is None:
            return samples
        if last and self._input_count == 0:
            return samples
        piece: NDArray[np.float32] = self._soxr.resample_chunk(np.ascontiguousarray(samples), last=last)
        self._output_count += len(piece)
        return self._finish_stream(piece) if last else piece

    def _finish_stream(self, piece: NDArray[np.float32]) -> NDArray[np.float32]:
        missing = max(1, rescale_count(self._input_count, self.from_rate, self.to_rate)) - self._output_count
        self.clear()
        if missing < 0:
            return piece[:missing]
        return np.concatenate([piece, np.zeros((missing, *piece.shape[1:]), np.float32)])

    def clear(self) -> None:
        """Forget everything: ready for another stream."""
        self._input_count = self._output_count = 0
        if self._soxr is not None:
            self._soxr.clear()

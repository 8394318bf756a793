"""Resampling by soxr at its highest quality (VHQ): streaming, no net delay, exact length."""

from typing import Protocol

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from liveavatar.timeline import SAMPLE_RATE, rescale_count


class StreamResampler(Protocol):
    """What a resampler of one stream offers."""

    @property
    def from_rate(self) -> int:
        """Sample rate of the input in Hz."""
        ...

    def resample_chunk(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Resample float32 [n, channels] to float32 [m, channels]; `last=True` ends the stream."""
        ...


class Resampler:
    """One stream from `from_rate` to `to_rate` Hz. Any chunking gives the same samples to the last bit.

    An impulse stays at its time. n input samples give `round(n·to_rate/from_rate)` output samples in all, at least
    one if n > 0. While the stream runs, output lags behind input by up to 110 ms (soxr computes in blocks);
    `last=True` returns the rest.
    """

    def __init__(self, from_rate: int, to_rate: int = SAMPLE_RATE, channels: int = 1) -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        same = from_rate == to_rate
        self._soxr = None if same else soxr.ResampleStream(from_rate, to_rate, channels, quality="VHQ")
        self._input_count = 0
        self._output_count = 0

    def resample_chunk(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Resample float32 [n] or [n, channels]; the output has the same number of axes.

        `last=True` ends the stream and returns all that is left. Another stream may follow.
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
        """Drop all state, for another stream."""
        self._input_count = self._output_count = 0
        if self._soxr is not None:
            self._soxr.clear()

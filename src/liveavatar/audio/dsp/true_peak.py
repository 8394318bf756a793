"""True peak: the highest absolute value of the interpolated signal (ITU-R BS.1770-5, annex 2).

Ours instead of FFmpeg's `ebur128`, which rounds peaks to 0.001 of full scale and is slower
(`benchmarks/audio/loudness.py`).
"""

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.kaiser_sinc import design_kaiser_sinc

_TAPS_PER_PHASE = 16  # taps of each phase of the interpolation filter; annex 2 gives 12
_KAISER_BETA = 6.0  # keeps the filter within 0.1 dB of 16-fold spectral interpolation on speech
_BLOCK_SAMPLES = 1024  # samples that are searched or skipped together


def _design_interpolation_filters(factor: int) -> NDArray[np.float32]:
    """Filters that interpolate the `factor - 1` points between two samples, float32 [taps, factor - 1]."""
    positions = np.arange(1, factor)[:, None] / factor
    offsets = np.arange(_TAPS_PER_PHASE) - (_TAPS_PER_PHASE // 2 - 1) - positions
    return np.ascontiguousarray(design_kaiser_sinc(offsets, _TAPS_PER_PHASE / 2, _KAISER_BETA).T)


class TruePeakMeter:
    """Highest absolute value of one stream, oversampled four times, or twice from 96 kHz on. `peak` is it so far."""

    def __init__(self, rate: int, channels: int) -> None:
        self._filters = _design_interpolation_filters(4 if rate < 96_000 else 2)
        self._max_filter_gain = float(np.abs(self._filters).sum(axis=0).max())
        self._history = np.zeros((channels, _TAPS_PER_PHASE - 1), np.float32)
        self.peak = 0.0

    def push(self, planes: NDArray[np.float32]) -> None:
        """Measure float32 [channels, n]."""
        samples = np.concatenate([self._history, planes], axis=1)
        self._history = samples[:, samples.shape[1] - _TAPS_PER_PHASE + 1 :]
        for channel in samples:
            self._search_channel(channel)

    def finish(self) -> float:
        """End the stream; returns its peak as an amplitude, where full scale is 1."""
        self.push(np.zeros_like(self._history))
        return self.peak

    def _search_channel(self, channel: NDArray[np.float32]) -> None:
        """Interpolate block by block, in order of their highest samples, until no block can exceed the peak."""
        starts = np.arange(0, len(channel), _BLOCK_SAMPLES)
        highest = np.maximum.reduceat(np.abs(channel), starts)
        self.peak = max(self.peak, float(highest.max()))
        bounds = np.maximum(highest, np.append(highest[1:], 0))  # a filter reaches into the next block
        for index in np.argsort(-bounds):
            if bounds[index] * self._max_filter_gain <= self.peak:
                return
            block = channel[starts[index] : starts[index] + _BLOCK_SAMPLES + _TAPS_PER_PHASE - 1]
            if len(block) >= _TAPS_PER_PHASE:
                windows = np.lib.stride_tricks.sliding_window_view(block, _TAPS_PER_PHASE)
                self.peak = max(self.peak, float(np.abs(windows @ self._filters).max()))

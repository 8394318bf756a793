"""True peak: the highest point of the curve between the samples (ITU-R BS.1770-5, annex 2)."""

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.kaiser_sinc import design_kaiser_sinc

_TAPS_PER_PHASE = 16  # of each phase of the interpolating filter
_BLOCK_SAMPLES = 1024
_KAISER_BETA = 6.0


def _design_interpolation_filters(factor: int) -> NDArray[np.float32]:
    """Windowed-sinc filters for the points between two samples, [taps, factor - 1]."""
    positions = np.arange(1, factor)[:, None] / factor
    offsets = np.arange(_TAPS_PER_PHASE) - (_TAPS_PER_PHASE // 2 - 1) - positions
    return np.ascontiguousarray(design_kaiser_sinc(offsets, _TAPS_PER_PHASE / 2, _KAISER_BETA).T)


class TruePeakMeter:
    """Highest absolute value of one stream, read at four times its rate (less above 96 kHz)."""

    def __init__(self, rate: int, channels: int) -> None:
        self._filters = _design_interpolation_filters(4 if rate < 96_000 else 2)
        self._max_filter_gain = float(np.abs(self._filters).sum(axis=0).max())
        self._history = np.zeros((channels, _TAPS_PER_PHASE - 1), np.float32)
        self.peak = 0.0

    def push(self, planes: NDArray[np.float32]) -> None:
        """Hear float32 [channels, n]."""
        waiting = np.concatenate([self._history, planes], axis=1)
        self._history = waiting[:, waiting.shape[1] - _TAPS_PER_PHASE + 1 :]
        for channel in waiting:
            self._search_channel(channel)

    def finish(self) -> float:
        """The peak as an amplitude, full scale 1, of everything heard."""
        self.push(np.zeros_like(self._history))
        return self.peak

    def _search_channel(self, channel: NDArray[np.float32]) -> None:
        """Look between the samples, highest blocks first, until no block can hold a higher point."""
        starts = np.arange(0, len(channel), _BLOCK_SAMPLES)
        highest = np.maximum.reduceat(np.abs(channel), starts)
        self.peak = max(self.peak, float(highest.max()))
        near = np.maximum(highest, np.append(highest[1:], 0))  # a filter reaches into the next block
        for index in np.argsort(-near):
            if near[index] * self._max_filter_gain <= self.peak:
                return
            block = channel[starts[index] : starts[index] + _BLOCK_SAMPLES + _TAPS_PER_PHASE - 1]
            if len(block) >= _TAPS_PER_PHASE:
                windows = np.lib.stride_tricks.sliding_window_view(block, _TAPS_PER_PHASE)
                self.peak = max(self.peak, float(np.abs(windows @ self._filters).max()))

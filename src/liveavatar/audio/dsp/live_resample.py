"""To another sample rate with a lag of 6 ms, for live sound.

soxr computes in blocks that hold live sound back for 40 to 110 ms, half of what a first frame may take. This
is the textbook alternative: a Kaiser-windowed sinc for each output sample (Smith, *Digital Audio Resampling*;
Kaiser and Schafer 1980 for the window), flat to 7.5 kHz and 80 dB down from 8 kHz.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.kaiser_sinc import design_kaiser_sinc
from liveavatar.audio.dsp.resample import Resampler, StreamResampler
from liveavatar.timeline import rescale_count

HALF_FILTER_SECONDS = 0.006
"""Seconds of sound on each side that an output sample is made of: the lag."""

_STOPBAND_ATTENUATION_DB = 80.0  # dB
_BATCH_OUTPUTS = 512  # outputs computed at a time, to bound memory
_MAX_TABLE_TAPS = 1 << 20  # filter taps worth storing; rates without a common measure with 16 kHz need more


def _count_half_taps(rate: int) -> int:
    return math.ceil(HALF_FILTER_SECONDS * rate)


@lru_cache(maxsize=8)
def _design_phase_filters(from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """One filter for each position between input samples an output can have, [positions, taps]."""
    half, positions = _count_half_taps(from_rate), to_rate // math.gcd(from_rate, to_rate)
    beta = 0.1102 * (_STOPBAND_ATTENUATION_DB - 8.7)
    transition = (_STOPBAND_ATTENUATION_DB - 8) / (2.285 * 2 * math.pi * 2 * HALF_FILTER_SECONDS)  # Hz
    cutoff = (min(from_rate, to_rate) - transition) / from_rate  # of the input's Nyquist frequency
    offset = np.arange(1 - half, half + 1) - np.arange(positions)[:, None] / positions
    return design_kaiser_sinc(offset, half, beta, cutoff)


def create_live_resampler(from_rate: int, to_rate: int, channels: int) -> StreamResampler:
    """The resampler with the least lag: `LiveResampler`, or soxr where that would need too large a table."""
    taps = 2 * _count_half_taps(from_rate) * to_rate // math.gcd(from_rate, to_rate)
    if from_rate == to_rate or taps > _MAX_TABLE_TAPS:
        return Resampler(from_rate, to_rate, channels)
    return LiveResampler(from_rate, to_rate, channels)


class LiveResampler:
    """One stream from `from_rate` to `to_rate` Hz, lagging 6 ms.

    Like `Resampler`: an impulse stays at its time, any chunking gives the same samples to the last bit, and
    n samples give `round(n·to_rate/from_rate)`, at least one.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int = 1) -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        common = math.gcd(from_rate, to_rate)
        self._phase_step, self._phase_count = from_rate // common, to_rate // common
        self._half_taps = _count_half_taps(from_rate)
        self._phase_filters = _design_phase_filters(from_rate, to_rate)
        self._silence = np.zeros((self._half_taps, channels), np.float32)
        self.clear()

    def clear(self) -> None:
        """Forget everything: ready for another stream."""
        self._pending = self._silence[1:]  # begins `half - 1` samples before the next output's place
        self._pending_start = 1 - self._half_taps  # which sample of the stream that is
        self._input_count = 0
        self._output_count = 0

    def resample_chunk(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Resample float32 [n, channels]; gives float32 [m, channels]. `last=True` ends the stream."""
        self._input_count += len(samples)
        self._pending = np.concatenate([self._pending, samples])
        if not last:
            return self._compute_outputs(self._count_ready_outputs())
        due = (
            max(1, rescale_count(self._input_count, self.from_rate, self.to_rate)) if self._input_count else 0
        )
        self._pending = np.concatenate([self._pending, self._silence, self._silence[:1]])
        rest = self._compute_outputs(due - self._output_count)
        self.clear()
        return rest

    def _count_ready_outputs(self) -> int:
        """Outputs whose whole surrounding is there."""
        heard = (
            self._pending_start + len(self._pending) - self._half_taps
        )  # the last place between whose sides all is known
        return max(0, (heard * self._phase_count - 1) // self._phase_step + 1 - self._output_count)

    def _compute_outputs(self, count: int) -> NDArray[np.float32]:
        """The next `count` outputs, a batch at a time."""
        batches = [
            self._compute_batch(min(_BATCH_OUTPUTS, count - done)) for done in range(0, count, _BATCH_OUTPUTS)
        ]
        drop = (
            self._output_count * self._phase_step // self._phase_count
            + 1
            - self._half_taps
            - self._pending_start
        )
        self._pending, self._pending_start = self._pending[drop:], self._pending_start + drop
        return np.concatenate([self._silence[:0], *batches])

    def _compute_batch(self, count: int) -> NDArray[np.float32]:
        places = np.arange(self._output_count, self._output_count + count) * self._phase_step
        filters = self._phase_filters[places % self._phase_count]
        first = places // self._phase_count + 1 - self._half_taps - self._pending_start
        windows = self._pending[first[:, None] + np.arange(2 * self._half_taps)]
        self._output_count += count
        return np.stack([(channel * filters).sum(axis=1) for channel in np.moveaxis(windows, 2, 0)], axis=1)

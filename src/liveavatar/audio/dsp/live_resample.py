"""Resampling of live sound with a latency of 6 ms.

Ours instead of soxr, whose blocks delay live sound by 40 to 110 ms, half of what a first frame may take. Each output
sample is a sum under a Kaiser-windowed sinc (Smith, *Digital Audio Resampling*; Kaiser and Schafer 1980), flat to
7.5 kHz and 80 dB down from 8 kHz.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.kaiser_sinc import design_kaiser_sinc
from liveavatar.audio.dsp.resample import Resampler, StreamResampler
from liveavatar.timeline import rescale_count

HALF_FILTER_SECONDS = 0.006
"""Seconds of input on each side of an output sample that it is computed from: the latency."""

_STOPBAND_ATTENUATION_DB = 80.0
_BATCH_OUTPUTS = 512  # output samples computed at a time, which bounds memory
_MAX_TABLE_TAPS = 1 << 20  # 4 MiB of filters; rates with no large common divisor with 16 kHz need more


def _count_half_taps(rate: int) -> int:
    return math.ceil(HALF_FILTER_SECONDS * rate)


@lru_cache(maxsize=8)
def _design_phase_filters(from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """One filter for each phase of an output sample between two input samples, float32 [phases, taps].

    `beta` and `transition` are the design formulas of Kaiser and Schafer (1980).
    """
    half_taps, phase_count = _count_half_taps(from_rate), to_rate // math.gcd(from_rate, to_rate)
    beta = 0.1102 * (_STOPBAND_ATTENUATION_DB - 8.7)
    transition = (_STOPBAND_ATTENUATION_DB - 8) / (2.285 * 2 * math.pi * 2 * HALF_FILTER_SECONDS)  # Hz
    cutoff = (min(from_rate, to_rate) - transition) / from_rate  # share of the input's Nyquist frequency
    offsets = np.arange(1 - half_taps, half_taps + 1) - np.arange(phase_count)[:, None] / phase_count
    return design_kaiser_sinc(offsets, half_taps, beta, cutoff)


def create_live_resampler(from_rate: int, to_rate: int, channels: int) -> StreamResampler:
    """Create a `LiveResampler`, or one of soxr if the rates are equal or the table of filters would be too large."""
    taps = 2 * _count_half_taps(from_rate) * to_rate // math.gcd(from_rate, to_rate)
    if from_rate == to_rate or taps > _MAX_TABLE_TAPS:
        return Resampler(from_rate, to_rate, channels)
    return LiveResampler(from_rate, to_rate, channels)


class LiveResampler:
    """One stream from `from_rate` to `to_rate` Hz with a latency of 6 ms.

    As with `Resampler`, an impulse stays at its time, any chunking gives the same samples to the last bit, and
    n input samples give `round(n·to_rate/from_rate)`, at least one.
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
        """Drop all state, for another stream."""
        self._pending = self._silence[1:]  # starts `half_taps - 1` samples before the next output
        self._pending_start = 1 - self._half_taps  # index in the stream of the first pending sample
        self._input_count = 0
        self._output_count = 0

    def resample_chunk(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Resample float32 [n, channels] to float32 [m, channels]; `last=True` ends the stream."""
        self._input_count += len(samples)
        self._pending = np.concatenate([self._pending, samples])
        if not last:
            return self._compute_outputs(self._count_ready_outputs())
        total = rescale_count(self._input_count, self.from_rate, self.to_rate)
        if self._input_count:
            total = max(1, total)
        self._pending = np.concatenate([self._pending, self._silence, self._silence[:1]])
        rest = self._compute_outputs(total - self._output_count)
        self.clear()
        return rest

    def _count_ready_outputs(self) -> int:
        """Number of output samples whose input has arrived on both sides."""
        covered = self._pending_start + len(self._pending) - self._half_taps  # input up to here is covered
        return max(0, (covered * self._phase_count - 1) // self._phase_step + 1 - self._output_count)

    def _compute_outputs(self, count: int) -> NDArray[np.float32]:
        """Compute the next `count` output samples, a batch at a time."""
        batches = [
            self._compute_batch(min(_BATCH_OUTPUTS, count - done)) for done in range(0, count, _BATCH_OUTPUTS)
        ]
        next_input = self._output_count * self._phase_step // self._phase_count
        start = next_input + 1 - self._half_taps
        self._pending, self._pending_start = self._pending[start - self._pending_start :], start
        return np.concatenate([self._silence[:0], *batches])

    def _compute_batch(self, count: int) -> NDArray[np.float32]:
        places = np.arange(self._output_count, self._output_count + count) * self._phase_step
        filters = self._phase_filters[places % self._phase_count]
        first = places // self._phase_count + 1 - self._half_taps - self._pending_start
        windows = self._pending[first[:, None] + np.arange(2 * self._half_taps)]
        self._output_count += count
        return np.stack([(channel * filters).sum(axis=1) for channel in np.moveaxis(windows, 2, 0)], axis=1)

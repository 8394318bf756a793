"""To another sample rate with a lag of 6 ms, for live sound.

soxr computes in blocks that hold live sound back for 40 to 110 ms, half of what a first frame may take. This
is the textbook alternative: a Kaiser-windowed sinc for each output sample (Smith, *Digital Audio Resampling*;
Kaiser and Schafer 1980 for the window), flat to 7.5 kHz and 80 dB down from 8 kHz.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.resample import Resampler, Resampling
from liveavatar.timeline import rescale

HALF_LENGTH = 0.006
"""Seconds of sound on each side that an output sample is made of: the lag."""

_ATTENUATION = 80.0  # dB
_BATCH = 512  # outputs computed at a time, to bound memory
_MAX_TABLE = 1 << 20  # filter taps worth storing; rates without a common measure with 16 kHz need more


def _half(rate: int) -> int:
    return math.ceil(HALF_LENGTH * rate)


@lru_cache(maxsize=8)
def _filters(from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """One filter for each position between input samples an output can have, [positions, taps]."""
    half, positions = _half(from_rate), to_rate // math.gcd(from_rate, to_rate)
    beta = 0.1102 * (_ATTENUATION - 8.7)
    transition = (_ATTENUATION - 8) / (2.285 * 2 * math.pi * 2 * HALF_LENGTH)  # Hz
    cutoff = (min(from_rate, to_rate) - transition) / from_rate  # of the input's Nyquist frequency
    offset = np.arange(1 - half, half + 1) - np.arange(positions)[:, None] / positions
    window = np.i0(beta * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, 1)))
    filters = np.sinc(cutoff * offset) * window
    table: NDArray[np.float32] = (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32)
    return table


def live_resampler(from_rate: int, to_rate: int, channels: int) -> Resampling:
    """The resampler with the least lag: `LiveResampler`, or soxr where that would need too large a table."""
    taps = 2 * _half(from_rate) * to_rate // math.gcd(from_rate, to_rate)
    if from_rate == to_rate or taps > _MAX_TABLE:
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
        self._step, self._positions = from_rate // common, to_rate // common
        self._half = _half(from_rate)
        self._table = _filters(from_rate, to_rate)
        self._silence = np.zeros((self._half, channels), np.float32)
        self.clear()

    def clear(self) -> None:
        """Forget everything: ready for another stream."""
        self._waiting = self._silence[1:]  # begins `half - 1` samples before the next output's place
        self._start = 1 - self._half  # which sample of the stream that is
        self._taken = 0
        self._given = 0

    def resample_chunk(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Resample float32 [n, channels]; gives float32 [m, channels]. `last=True` ends the stream."""
        self._taken += len(samples)
        self._waiting = np.concatenate([self._waiting, samples])
        if not last:
            return self._compute(self._ready())
        due = max(1, rescale(self._taken, self.from_rate, self.to_rate)) if self._taken else 0
        self._waiting = np.concatenate([self._waiting, self._silence, self._silence[:1]])
        rest = self._compute(due - self._given)
        self.clear()
        return rest

    def _ready(self) -> int:
        """Outputs whose whole surrounding is there."""
        heard = (
            self._start + len(self._waiting) - self._half
        )  # the last place between whose sides all is known
        return max(0, (heard * self._positions - 1) // self._step + 1 - self._given)

    def _compute(self, count: int) -> NDArray[np.float32]:
        """The next `count` outputs, a batch at a time."""
        batches = [self._batch(min(_BATCH, count - done)) for done in range(0, count, _BATCH)]
        drop = self._given * self._step // self._positions + 1 - self._half - self._start
        self._waiting, self._start = self._waiting[drop:], self._start + drop
        return np.concatenate([self._silence[:0], *batches])

    def _batch(self, count: int) -> NDArray[np.float32]:
        places = np.arange(self._given, self._given + count) * self._step
        filters = self._table[places % self._positions]
        first = places // self._positions + 1 - self._half - self._start
        windows = self._waiting[first[:, None] + np.arange(2 * self._half)]
        self._given += count
        return np.stack([(channel * filters).sum(axis=1) for channel in np.moveaxis(windows, 2, 0)], axis=1)

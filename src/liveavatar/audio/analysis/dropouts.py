"""Digital dropouts: sound that stops at zero and returns at once, as when a buffer runs empty."""

import numpy as np
from numpy.typing import NDArray

_ZERO_AMPLITUDE = 1.5 / 32768  # of full scale: zeros, with or without dither
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.003, 0.5  # shorter is a quiet moment of speech, longer a pause
_CONTEXT_SECONDS = 0.002  # of sound on each side,
_MIN_CONTEXT_RMS = 0.01  # at least this loud: speech fades in and out, a dropout does not


class DropoutCounter:
    """Counts the dropouts of one channel. Any chunking gives the same."""

    def __init__(self, rate: int) -> None:
        self._context = max(2, round(_CONTEXT_SECONDS * rate))
        self._shortest = max(8, round(_SHORTEST_SECONDS * rate))
        self._longest = round(_LONGEST_SECONDS * rate)
        self._pending = np.empty(0, np.float32)
        self.count = 0
        self.sample_count = 0

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take the next float32 [n]."""
        pending = np.concatenate([self._pending, samples])
        ready = len(pending) - self._context
        if ready <= self._context:
            self._pending = pending
            return
        bounds = np.flatnonzero(np.diff(np.abs(pending) <= _ZERO_AMPLITUDE, prepend=False, append=False))
        first, last = bounds[0::2], bounds[1::2]
        complete = last < ready
        self._count_gaps(pending, first[complete], last[complete])
        keep = min([*first[~complete], ready]) - self._context
        self._pending = pending[max(0, keep, len(pending) - self._longest - 2 * self._context) :]

    def _count_gaps(
        self, samples: NDArray[np.float32], first: NDArray[np.intp], last: NDArray[np.intp]
    ) -> None:
        lengths = last - first
        fitting = (lengths >= self._shortest) & (lengths <= self._longest) & (first >= self._context)
        for start, end in zip(first[fitting], last[fitting], strict=True):
            before, after = samples[start - self._context : start], samples[end : end + self._context]
            if min(_compute_rms(before), _compute_rms(after)) >= _MIN_CONTEXT_RMS:
                self.count += 1
                self.sample_count += int(end - start)


def _compute_rms(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean()))

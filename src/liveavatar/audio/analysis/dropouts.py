"""Digital dropouts: sound that breaks off to nothing and comes back at once, as when a buffer ran empty."""

import numpy as np
from numpy.typing import NDArray

_ZERO_AMPLITUDE = 1.5 / 32768  # of full scale: zeros, and zeros with dither
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.003, 0.5  # seconds: shorter is a quiet moment, longer a pause
_CONTEXT_SECONDS = 0.002  # seconds on each side that must carry sound,
_MIN_CONTEXT_RMS = 0.01  # of at least this root mean square: speech fades in and out, a buffer does not


class DropoutCounter:
    """Counts the dropouts of one channel. Any chunking gives the same."""

    def __init__(self, rate: int) -> None:
        self._context = max(2, round(_CONTEXT_SECONDS * rate))
        self._shortest = max(8, round(_SHORTEST_SECONDS * rate))
        self._longest = round(_LONGEST_SECONDS * rate)
        self._waiting = np.empty(0, np.float32)
        self.count = 0
        self.sample_count = 0

    def push(self, samples: NDArray[np.float32]) -> None:
        """Hear float32 [n]."""
        waiting = np.concatenate([self._waiting, samples])
        ready = len(waiting) - self._context
        if ready <= self._context:
            self._waiting = waiting
            return
        bounds = np.flatnonzero(np.diff(np.abs(waiting) <= _ZERO_AMPLITUDE, prepend=False, append=False))
        first, last = bounds[0::2], bounds[1::2]
        whole = last < ready
        self._count_gaps(waiting, first[whole], last[whole])
        keep = min([*first[~whole], ready]) - self._context
        self._waiting = waiting[max(0, keep, len(waiting) - self._longest - 2 * self._context) :]

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

"""Timed pieces of sound become one track without gaps: what the time stamps of a file mean, exactly.

Containers stamp pieces with times that are rounded (milliseconds in Matroska), jitter, leave gaps where
packets were lost, overlap, or jump. Counting samples alone drifts away from those times; following every
stamp cuts clean sound to pieces. So samples are counted, and the count is corrected when it is off by more
than a tolerance: a gap becomes silence, an overlap is dropped, a wild jump starts a new count.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.resample import Resampler, Resampling
from liveavatar.timeline import round_half_up

TOLERANCE = Fraction(15, 1000)
"""Seconds a stamp may be off the count: above the jitter of containers, below one lost Opus packet."""

MAX_OVERLAP = Fraction(1, 4)
"""Seconds; a stamp further back than this is a clock that was set back, not an overlap."""

MAX_GAP = Fraction(10)
"""Seconds; a longer gap is believed only when the container's own duration has room for it…"""

MAX_BELIEVED_GAP = Fraction(600)
"""…and all gaps together are no longer than this: a damaged stamp is no reason for hours of silence."""

_SILENCE = 1 << 16  # samples of silence made at a time


@dataclass(slots=True, kw_only=True)
class Repairs:
    """What had to be done to keep time, in seconds and counts."""

    silence: Fraction = Fraction(0)
    dropped: Fraction = Fraction(0)
    jumps: int = 0
    changes: int = 0


class Splicer:
    """Lays pieces onto one track at `rate` Hz with `channels` channels.

    `tick` is the length in seconds of one unit of the stamps, `promised` the duration the container names.
    The first piece is time 0. A piece at another rate or with other channels is resampled and remixed, by
    what `resampler` makes of the two rates and the number of channels.
    """

    def __init__(
        self,
        rate: int,
        channels: int,
        tick: Fraction,
        promised: Fraction | None,
        resampler: Callable[[int, int, int], Resampling] = Resampler,
    ) -> None:
        self.rate = rate
        self.channels = channels
        self.repairs = Repairs()
        self._tick = tick
        self._tolerance = max(TOLERANCE, tick * 3 / 2)
        self._promised = promised or Fraction(0)
        self._zero: Fraction | None = None  # the stamp, in seconds, of the track's first sample
        self._start = Fraction(0)  # where the present run at one rate began, in seconds
        self._count = 0  # samples in that run
        self._resampler = resampler
        self._run = resampler(rate, rate, channels)
        self._ticks = self._ticks_of(rate)  # from one sample to the next, if that is a whole number
        self._due: int | None = None  # the stamp that comes next if the clock runs as it should
        self._given = 0  # samples given at the rate of the track

    @property
    def now(self) -> Fraction:
        """Seconds laid so far."""
        return self._start + Fraction(self._count, self._run.from_rate)

    def push(
        self, samples: NDArray[np.float32], rate: int, stamp: int | None
    ) -> Iterator[NDArray[np.float32]]:
        """Lay one piece, float32 [n, channels of the piece]; gives what is ready, float32 [m, channels]."""
        if rate != self._run.from_rate:
            yield self._change(rate)
        if samples.shape[1] != self.channels:
            samples = self._remix(samples)
        late = self._lateness(stamp) if stamp is not None and stamp != self._due else 0
        if late > 0:
            yield from self._silence(late)
        elif late < 0:
            self.repairs.dropped += Fraction(min(-late, len(samples)), rate)
            samples = samples[-late:]
        # spare most stamps, which are due, the arithmetic: if this one was near enough, so is the next
        due = late == 0 and stamp is not None and self._ticks is not None
        self._due = stamp + len(samples) * self._ticks if due else None  # type: ignore[operator]
        if len(samples):
            yield self._lay(samples)

    def flush(self) -> NDArray[np.float32]:
        """Give what the resampler still holds, float32 [m, channels]; the whole track is as long as `now`."""
        rest = self._run.resample_chunk(np.empty((0, self.channels), np.float32), last=True)
        due = round_half_up(self.now * self.rate) - self._given
        if self._given == 0 and self.now > 0:
            due = max(due, 1)
        short = np.zeros((max(due - len(rest), 0), self.channels), np.float32)
        rest = np.concatenate([rest[: max(due, 0)], short])
        self._given += len(rest)
        return rest

    def _lay(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        self._count += len(samples)
        piece = self._run.resample_chunk(samples)
        self._given += len(piece)
        return piece

    def _ticks_of(self, rate: int) -> int | None:
        ticks = 1 / (rate * self._tick)
        return ticks.numerator if ticks.denominator == 1 else None

    def _lateness(self, stamp: int) -> int:
        """Samples of silence due before a piece with this stamp; negative: samples to drop."""
        time = stamp * self._tick
        if self._zero is None:
            self._zero = time
        ahead = time - self._zero - self.now
        if abs(ahead) <= self._tolerance:
            return 0
        room = time - self._zero <= self._promised
        longest = MAX_BELIEVED_GAP - self.repairs.silence if room else MAX_GAP
        if not -MAX_OVERLAP <= ahead <= longest:
            self._zero = time - self.now
            self.repairs.jumps += 1
            return 0
        return round_half_up(ahead * self._run.from_rate)

    def _silence(self, count: int) -> Iterator[NDArray[np.float32]]:
        self.repairs.silence += Fraction(count, self._run.from_rate)
        while count > 0:
            piece = min(count, _SILENCE)
            yield self._lay(np.zeros((piece, self.channels), np.float32))
            count -= piece

    def _change(self, rate: int) -> NDArray[np.float32]:
        self.repairs.changes += bool(self._count)
        rest = self.flush()
        self._start, self._count = self.now, 0
        self._run = self._resampler(rate, self.rate, self.channels)
        self._ticks, self._due = self._ticks_of(rate), None
        return rest

    def _remix(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        mono = samples.mean(axis=1, keepdims=True, dtype=np.float32)
        return np.repeat(mono, self.channels, axis=1)

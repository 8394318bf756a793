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

from liveavatar.audio.dsp.resample import Resampler, StreamResampler
from liveavatar.timeline import round_half_up

STAMP_TOLERANCE_SECONDS = Fraction(15, 1000)
"""Seconds a stamp may be off the count: above the jitter of containers, below one lost Opus packet."""

MAX_OVERLAP_SECONDS = Fraction(1, 4)
"""Seconds; a stamp further back than this is a clock that was set back, not an overlap."""

MAX_GAP_SECONDS = Fraction(10)
"""Seconds; a longer gap is believed only when the container's own duration has room for it…"""

MAX_TOTAL_GAP_SECONDS = Fraction(600)
"""…and all gaps together are no longer than this: a damaged stamp is no reason for hours of silence."""

_SILENCE_SAMPLES = 1 << 16  # samples of silence made at a time


@dataclass(slots=True, kw_only=True)
class TimestampRepairs:
    """What had to be done to keep time, in seconds and counts."""

    inserted_silence: Fraction = Fraction(0)
    dropped_overlap: Fraction = Fraction(0)
    clock_jumps: int = 0
    rate_changes: int = 0


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
        time_base: Fraction,
        container_duration: Fraction | None,
        create_resampler: Callable[[int, int, int], StreamResampler] = Resampler,
    ) -> None:
        self.rate = rate
        self.channels = channels
        self.repairs = TimestampRepairs()
        self._time_base = time_base
        self._tolerance = max(STAMP_TOLERANCE_SECONDS, time_base * 3 / 2)
        self._container_duration = container_duration or Fraction(0)
        self._zero_time: Fraction | None = None  # the stamp, in seconds, of the track's first sample
        self._run_start = Fraction(0)  # where the present run at one rate began, in seconds
        self._run_samples = 0  # samples in that run
        self._create_resampler = create_resampler
        self._run_resampler = create_resampler(rate, rate, channels)
        self._ticks_per_sample = self._count_sample_ticks(
            rate
        )  # from one sample to the next, if that is a whole number
        self._expected_pts: int | None = None  # the stamp that comes next if the clock runs as it should
        self._output_count = 0  # samples given at the rate of the track

    @property
    def elapsed(self) -> Fraction:
        """Seconds laid so far."""
        return self._run_start + Fraction(self._run_samples, self._run_resampler.from_rate)

    def push(self, samples: NDArray[np.float32], rate: int, pts: int | None) -> Iterator[NDArray[np.float32]]:
        """Lay one piece, float32 [n, channels of the piece]; gives what is ready, float32 [m, channels]."""
        if rate != self._run_resampler.from_rate:
            yield self._change_rate(rate)
        if samples.shape[1] != self.channels:
            samples = self._remix_channels(samples)
        late = self._measure_lateness(pts) if pts is not None and pts != self._expected_pts else 0
        if late > 0:
            yield from self._insert_silence(late)
        elif late < 0:
            self.repairs.dropped_overlap += Fraction(min(-late, len(samples)), rate)
            samples = samples[-late:]
        # spare most stamps, which are due, the arithmetic: if this one was near enough, so is the next
        due = late == 0 and pts is not None and self._ticks_per_sample is not None
        self._expected_pts = pts + len(samples) * self._ticks_per_sample if due else None  # type: ignore[operator]
        if len(samples):
            yield self._append_samples(samples)

    def flush(self) -> NDArray[np.float32]:
        """Give what the resampler still holds, float32 [m, channels]; the whole track is as long as `now`."""
        rest = self._run_resampler.resample_chunk(np.empty((0, self.channels), np.float32), last=True)
        due = round_half_up(self.elapsed * self.rate) - self._output_count
        if self._output_count == 0 and self.elapsed > 0:
            due = max(due, 1)
        short = np.zeros((max(due - len(rest), 0), self.channels), np.float32)
        rest = np.concatenate([rest[: max(due, 0)], short])
        self._output_count += len(rest)
        return rest

    def _append_samples(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        self._run_samples += len(samples)
        piece = self._run_resampler.resample_chunk(samples)
        self._output_count += len(piece)
        return piece

    def _count_sample_ticks(self, rate: int) -> int | None:
        ticks = 1 / (rate * self._time_base)
        return ticks.numerator if ticks.denominator == 1 else None

    def _measure_lateness(self, pts: int) -> int:
        """Samples of silence due before a piece with this stamp; negative: samples to drop."""
        time = pts * self._time_base
        if self._zero_time is None:
            self._zero_time = time
        ahead = time - self._zero_time - self.elapsed
        if abs(ahead) <= self._tolerance:
            return 0
        room = time - self._zero_time <= self._container_duration
        longest = MAX_TOTAL_GAP_SECONDS - self.repairs.inserted_silence if room else MAX_GAP_SECONDS
        if not -MAX_OVERLAP_SECONDS <= ahead <= longest:
            self._zero_time = time - self.elapsed
            self.repairs.clock_jumps += 1
            return 0
        return round_half_up(ahead * self._run_resampler.from_rate)

    def _insert_silence(self, count: int) -> Iterator[NDArray[np.float32]]:
        self.repairs.inserted_silence += Fraction(count, self._run_resampler.from_rate)
        while count > 0:
            piece = min(count, _SILENCE_SAMPLES)
            yield self._append_samples(np.zeros((piece, self.channels), np.float32))
            count -= piece

    def _change_rate(self, rate: int) -> NDArray[np.float32]:
        self.repairs.rate_changes += bool(self._run_samples)
        rest = self.flush()
        self._run_start, self._run_samples = self.elapsed, 0
        self._run_resampler = self._create_resampler(rate, self.rate, self.channels)
        self._ticks_per_sample, self._expected_pts = self._count_sample_ticks(rate), None
        return rest

    def _remix_channels(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        mono = samples.mean(axis=1, keepdims=True, dtype=np.float32)
        return np.repeat(mono, self.channels, axis=1)

"""Joins pieces of sound with time stamps to one track without gaps.

Time stamps are rounded (to milliseconds in Matroska), jitter, leave gaps where packets are lost, overlap or jump. A
count of samples alone drifts from them; following every time stamp cuts intact sound into pieces. So samples are
counted, and the count is corrected when it differs by more than a tolerance: a gap becomes silence, an overlap is
dropped, and after a jump of the clock the sound continues without a gap. A clock that advances more slowly than the
sound from the first pieces on is none: nothing is dropped for it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.resample import Resampler, StreamResampler
from liveavatar.timeline import round_half_up

STAMP_TOLERANCE_SECONDS = Fraction(15, 1000)
"""Difference from the count that is ignored: above the jitter of containers, below one lost Opus packet (20 ms)."""

MAX_OVERLAP_SECONDS = Fraction(1, 4)
"""A time stamp further back than this is a jump of the clock, not an overlap."""

MAX_GAP_SECONDS = Fraction(10)
"""A longer gap is a jump of the clock, unless it ends within the container's own duration…"""

MAX_TOTAL_GAP_SECONDS = Fraction(600)
"""…and all gaps together are no longer than this: one damaged time stamp must not give hours of silence."""

_SILENCE_SAMPLES = 1 << 16  # inserted at a time
_SLOW_STEP = Fraction(9, 10)  # of the sound of a piece, that a slow clock advances by at most
_MIN_SLOW_STEPS = 3


@dataclass(slots=True, kw_only=True)
class TimestampRepairs:
    """Corrections of the count: seconds of silence and of dropped sound; numbers of clock jumps and rate changes.

    `has_slow_clock` says that time stamps were ignored.
    """

    inserted_silence: Fraction = Fraction(0)
    dropped_overlap: Fraction = Fraction(0)
    clock_jumps: int = 0
    rate_changes: int = 0
    has_slow_clock: bool = False


def is_slow_clock(pieces: Sequence[tuple[Fraction | None, Fraction]]) -> bool:
    """Whether time stamps advance by less than the sound, in most steps and in all; a true overlap is one step.

    `pieces` are the time stamp (None without one) and the duration of each, in seconds.
    """
    steps = [
        (after - before, duration)
        for (before, duration), (after, _) in pairwise(pieces)
        if before is not None and after is not None and after > before
    ]
    slow_count = sum(step < _SLOW_STEP * duration for step, duration in steps)
    advance, sound = (sum(values, Fraction(0)) for values in zip(*steps, strict=True)) if steps else (0, 0)
    return slow_count >= _MIN_SLOW_STEPS and 2 * slow_count > len(steps) and advance < _SLOW_STEP * sound


class Splicer:
    """Joins pieces to one track at `rate` Hz with `channels` channels, which starts with the first piece.

    `time_base` is the unit of the time stamps in seconds, `container_duration` the duration in the header in seconds.
    Pieces at another rate are resampled by `create_resampler(piece_rate, rate, channels)`; pieces with another number
    of channels are averaged to mono and copied to all channels.
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
        self._zero_time: Fraction | None = None  # of the time stamps at the start of the track, in seconds
        self._run_start = Fraction(0)  # start of the current run of one rate, in seconds
        self._run_samples = 0  # samples in this run, at its own rate
        self._create_resampler = create_resampler
        self._run_resampler = create_resampler(rate, rate, channels)
        self._ticks_per_sample = self._count_sample_ticks(rate)
        self._expected_pts: int | None = None  # of the next piece, if the clock has no error
        self._output_count = 0  # samples returned, at the rate of the track

    @property
    def elapsed(self) -> Fraction:
        """Seconds of track so far."""
        return self._run_start + Fraction(self._run_samples, self._run_resampler.from_rate)

    def push(self, samples: NDArray[np.float32], rate: int, pts: int | None) -> Iterator[NDArray[np.float32]]:
        """Append one piece, float32 [n, channels of the piece]; yields what is ready, float32 [m, channels]."""
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
        # most time stamps are as expected and need no arithmetic: if this one is within tolerance, so is the next
        self._expected_pts = None
        if late == 0 and pts is not None and self._ticks_per_sample is not None:
            self._expected_pts = pts + len(samples) * self._ticks_per_sample
        if len(samples):
            yield self._append_samples(samples)

    def flush(self) -> NDArray[np.float32]:
        """End the run; returns what the resampler still holds, float32 [m, channels]. The track is `elapsed` long."""
        rest = self._run_resampler.resample_chunk(np.empty((0, self.channels), np.float32), last=True)
        missing = round_half_up(self.elapsed * self.rate) - self._output_count
        if self._output_count == 0 and self.elapsed > 0:
            missing = max(missing, 1)
        padding = np.zeros((max(missing - len(rest), 0), self.channels), np.float32)
        rest = np.concatenate([rest[: max(missing, 0)], padding])
        self._output_count += len(rest)
        return rest

    def _append_samples(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        self._run_samples += len(samples)
        piece = self._run_resampler.resample_chunk(samples)
        self._output_count += len(piece)
        return piece

    def _count_sample_ticks(self, rate: int) -> int | None:
        """Units of the time stamps from one sample to the next; None if that is no integer."""
        ticks = 1 / (rate * self._time_base)
        return ticks.numerator if ticks.denominator == 1 else None

    def _measure_lateness(self, pts: int) -> int:
        """Samples of silence to insert before a piece with this time stamp; if negative, samples of it to drop."""
        time = pts * self._time_base
        if self._zero_time is None:
            self._zero_time = time
        ahead = time - self._zero_time - self.elapsed
        if abs(ahead) <= self._tolerance:
            return 0
        fits = time - self._zero_time <= self._container_duration
        max_gap = MAX_TOTAL_GAP_SECONDS - self.repairs.inserted_silence if fits else MAX_GAP_SECONDS
        if not -MAX_OVERLAP_SECONDS <= ahead <= max_gap:
            self._zero_time = time - self.elapsed
            self.repairs.clock_jumps += 1
            return 0
        return round_half_up(ahead * self._run_resampler.from_rate)

    def _insert_silence(self, count: int) -> Iterator[NDArray[np.float32]]:
        self.repairs.inserted_silence += Fraction(count, self._run_resampler.from_rate)
        while count > 0:
            length = min(count, _SILENCE_SAMPLES)
            yield self._append_samples(np.zeros((length, self.channels), np.float32))
            count -= length

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

"""The contract of time: the only place where samples, feature steps and frames are converted.

Engines take 16,000 Hz mono. Frame i of a video at F fps covers the samples
`[round(i·R/F), round((i+1)·R/F))` of a clock at R Hz, halves rounded up. A sound of n samples has
`ceil(n·F/R)` frames. Counts are integers or `Fraction`s, so there is no drift, whatever the duration.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import OptionError

SAMPLE_RATE = 16_000
"""Hz, mono: the input of every engine."""

MAX_FPS = 120
_NTSC_FRACTIONS = {
    Fraction(2997, 100): Fraction(30_000, 1001),
    Fraction(5994, 100): Fraction(60_000, 1001),
    Fraction(23_976, 1000): Fraction(24_000, 1001),
    Fraction(2398, 100): Fraction(24_000, 1001),
}


def parse_fps(value: str | int | float | Fraction) -> Fraction:
    """Frame rate as an exact fraction: `25`, `"29.97"` (read as 30000/1001), `"30000/1001"`.

    Raises:
        OptionError: not a number, or outside 1…120.
    """
    try:
        if "e" in str(value).lower():
            raise ValueError("an exponent could stand for more digits than fit into memory")
        fps = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"fps {value!r} is not a number", "use 16, 24, 25, 30 or 30000/1001") from None
    fps = _NTSC_FRACTIONS.get(fps, fps).limit_denominator(1001)
    if not 1 <= fps <= MAX_FPS:
        raise OptionError(f"fps {value} is outside 1…{MAX_FPS}", "use 16, 24, 25, 30 or 30000/1001")
    return fps


def round_half_up(value: Fraction) -> int:
    """Nearest integer; halves go up, whatever the sign."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def rescale_count(count: int, from_rate: int, to_rate: int) -> int:
    """How many samples at `to_rate` last as long as `count` samples at `from_rate`, to the nearest one."""
    return round_half_up(Fraction(count * to_rate, from_rate))


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Maps between samples at `rate` Hz and frames at `fps`, exactly."""

    fps: Fraction
    rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.fps <= 0:
            raise OptionError(
                f"a clock at {self.rate} Hz and {self.fps} fps cannot run", "use positive rates"
            )

    def frame_start(self, index: int) -> int:
        """First sample of frame `index`."""
        return round_half_up(Fraction(index * self.rate) / self.fps)

    def frame_span(self, index: int) -> tuple[int, int]:
        """First sample of frame `index`, and the first one after it."""
        return self.frame_start(index), self.frame_start(index + 1)

    def frame_count(self, samples: int) -> int:
        """Frames that `samples` last: `ceil(duration·fps)`."""
        frames = Fraction(samples, self.rate) * self.fps
        return -(-frames.numerator // frames.denominator)

    def frames_within(self, samples: int) -> int:
        """Frames whose whole span lies within the first `samples` samples: what a stream may emit by then."""
        count = int(Fraction(samples, self.rate) * self.fps)
        while self.frame_start(count + 1) <= samples:
            count += 1
        while count > 0 and self.frame_start(count) > samples:
            count -= 1
        return count

    @property
    def half_frame(self) -> int:
        """Whole samples in half a frame."""
        return int(self.rate / (2 * self.fps))

    def frame_at_middle(self, index: int, fps: Fraction) -> int:
        """The frame of another video at `fps` that is shown at the middle of frame `index`."""
        return int((2 * index + 1) * fps / (2 * self.fps))

    def frames_in(self, seconds: float) -> float:
        """`seconds` in frames, not rounded."""
        return seconds * float(self.fps)

    def frame_time(self, index: int) -> Fraction:
        """Seconds at which frame `index` is shown."""
        return Fraction(index) / self.fps


@dataclass(frozen=True, kw_only=True, slots=True)
class StepClock:
    """Feature steps: step k is computed from the samples [k·stride, k·stride + field) at `rate` Hz."""

    stride: int
    field: int
    rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        if min(self.stride, self.field, self.rate) <= 0:
            raise OptionError(f"{self} has no steps", "use a positive stride, field and rate")

    @property
    def steps_per_second(self) -> Fraction:
        """Steps in a second."""
        return Fraction(self.rate, self.stride)

    def step_start(self, step: int) -> int:
        """First sample of `step`."""
        return step * self.stride

    def steps_within(self, samples: int) -> int:
        """Steps that lie wholly within the first `samples` samples."""
        return max(0, (samples - self.field) // self.stride + 1)

    def samples_needed(self, steps: int) -> int:
        """Samples that the first `steps` steps are computed from."""
        return (steps - 1) * self.stride + self.field if steps > 0 else 0

    def step_span(self, start: int, end: int) -> tuple[int, int]:
        """First stride that overlaps the samples [start, end), and the first one after them."""
        return start // self.stride, -(-end // self.stride)

    def step_positions(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Step numbers, not rounded, whose middles lie at `samples`."""
        return samples / self.stride - self.field / (2 * self.stride)

    def frame_to_step(self, index: int, fps: Fraction) -> Fraction:
        """The step, not rounded, that starts with frame `index` of a video at `fps`."""
        return index * self.steps_per_second / fps

    def steps_for_frames(self, count: int, fps: Fraction) -> int:
        """Steps from which the first `count` frames can be interpolated: the last one's `frame_to_step`, rounded up."""
        return -(-self.frame_to_step(count - 1, fps) // 1) + 1 if count > 0 else 0

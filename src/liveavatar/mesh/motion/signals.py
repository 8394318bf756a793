"""Building blocks of the motion, on one clock: damped springs, smooth noise and pulses."""

import math
from random import Random

TICKS_PER_SECOND = 100
"""Rate of the simulation, Hz."""
TICK_SECONDS = 1 / TICKS_PER_SECOND
RADIANS_PER_DEGREE = math.pi / 180


def ease_in_out(fraction: float) -> float:
    """Smoothstep: 0 up to 0, 1 from 1 on, a cubic with level ends in between."""
    fraction = min(max(fraction, 0.0), 1.0)
    return fraction * fraction * (3 - 2 * fraction)


class DampedSpring:
    """A critically damped spring of `hertz`: follows a target without overshoot."""

    def __init__(self, hertz: float) -> None:
        self._rate = 2 * math.pi * hertz
        self._decay = math.exp(-self._rate * TICK_SECONDS)
        self.value = self._speed = 0.0

    def step_towards(self, target: float) -> float:
        """The value one tick later, by the exact solution for a constant target."""
        distance = self.value - target
        carried = (self._speed + self._rate * distance) * TICK_SECONDS
        self._speed = (self._speed - self._rate * carried) * self._decay
        self.value = target + (distance + carried) * self._decay
        return self.value


class SmoothNoise:
    """Noise of unit variance below `hertz`: an Ornstein-Uhlenbeck process, smoothed by a spring."""

    def __init__(self, random: Random, hertz: float) -> None:
        slow, fast = math.pi * hertz, 2 * math.pi * hertz
        self._random = random
        self._decay = math.exp(-slow * TICK_SECONDS)
        # A spring of rate w reduces the variance of a process with decay rate a by w(a + 2w) / 2(a + w)².
        self._noise_gain = math.sqrt(
            (1 - self._decay**2) * 2 * (slow + fast) ** 2 / (fast * (slow + 2 * fast))
        )
        self._noise = 0.0
        self._spring = DampedSpring(hertz)

    def next_value(self) -> float:
        """The value one tick later; it starts at 0."""
        self._noise = self._decay * self._noise + self._noise_gain * self._random.gauss(0, 1)
        return self._spring.step_towards(self._noise)


class PulseEnvelope:
    """Single pulses that rise from 0 within `rise` seconds and return within `fall`."""

    def __init__(self, rise: float, fall: float) -> None:
        self._rise, self._fall = rise, fall
        self._age, self._height = math.inf, 0.0

    @property
    def is_active(self) -> bool:
        """Whether a pulse is in progress."""
        return self._age < self._rise + self._fall

    def start_pulse(self, height: float) -> None:
        """Start a pulse of `height` now, in place of the last one."""
        self._age, self._height = 0.0, height

    def next_value(self) -> float:
        """The value one tick later."""
        self._age += TICK_SECONDS
        return self._height * (
            ease_in_out(self._age / self._rise) - ease_in_out((self._age - self._rise) / self._fall)
        )

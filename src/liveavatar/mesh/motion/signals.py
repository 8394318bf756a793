"""What every process of a living head is made of, on one clock: springs, smooth noise and pulses."""

import math
from random import Random

TICKS_PER_SECOND = 100
"""Steps of the simulation in a second."""
TICK_SECONDS = 1 / TICKS_PER_SECOND
RADIANS_PER_DEGREE = math.pi / 180


def ease_in_out(fraction: float) -> float:
    """0 to 1 with a soft start and a soft end."""
    fraction = min(max(fraction, 0.0), 1.0)
    return fraction * fraction * (3 - 2 * fraction)


class DampedSpring:
    """Follows a target without overshoot: a critically damped spring of `hertz`."""

    def __init__(self, hertz: float) -> None:
        self._rate = 2 * math.pi * hertz
        self._decay = math.exp(-self._rate * TICK_SECONDS)
        self.value = self._speed = 0.0

    def step_towards(self, target: float) -> float:
        """The exact solution one tick later, the target held."""
        distance = self.value - target
        carried = (self._speed + self._rate * distance) * TICK_SECONDS
        self._speed = (self._speed - self._rate * carried) * self._decay
        self.value = target + (distance + carried) * self._decay
        return self.value


class SmoothNoise:
    """Smooth noise of unit size below `hertz`: an Ornstein-Uhlenbeck process followed by a spring."""

    def __init__(self, random: Random, hertz: float) -> None:
        slow, fast = math.pi * hertz, 2 * math.pi * hertz
        self._random = random
        self._decay = math.exp(-slow * TICK_SECONDS)
        # A spring of rate w leaves w(a + 2w) / 2(a + w)² of the variance of a process that forgets at rate a.
        self._noise_gain = math.sqrt(
            (1 - self._decay**2) * 2 * (slow + fast) ** 2 / (fast * (slow + 2 * fast))
        )
        self._noise = 0.0
        self._spring = DampedSpring(hertz)

    def next_value(self) -> float:
        """The next value; the first ones grow from 0."""
        self._noise = self._decay * self._noise + self._noise_gain * self._random.gauss(0, 1)
        return self._spring.step_towards(self._noise)


class PulseEnvelope:
    """A pulse of given height: up softly within `rise` seconds, back within `fall`; one at a time."""

    def __init__(self, rise: float, fall: float) -> None:
        self._rise, self._fall = rise, fall
        self._age, self._height = math.inf, 0.0

    @property
    def is_active(self) -> bool:
        """Whether the last one is still under way."""
        return self._age < self._rise + self._fall

    def start_pulse(self, height: float) -> None:
        """Begin a pulse now."""
        self._age, self._height = 0.0, height

    def next_value(self) -> float:
        """The pulse one tick later."""
        self._age += TICK_SECONDS
        return self._height * (
            ease_in_out(self._age / self._rise) - ease_in_out((self._age - self._rise) / self._fall)
        )

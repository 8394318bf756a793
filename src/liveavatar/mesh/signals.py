"""What every process of a living head is made of, on one clock: springs, smooth noise and pulses."""

import math
from random import Random

TICKS = 100
"""Steps of the simulation in a second."""
DT = 1 / TICKS
DEGREE = math.pi / 180


def smooth(share: float) -> float:
    """0 to 1 with a soft start and a soft end."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


class Spring:
    """Follows a target without overshoot: a critically damped spring of `hertz`."""

    def __init__(self, hertz: float) -> None:
        self._rate = 2 * math.pi * hertz
        self._decay = math.exp(-self._rate * DT)
        self.value = self._speed = 0.0

    def tick(self, target: float) -> float:
        """The exact solution one tick later, the target held."""
        distance = self.value - target
        carried = (self._speed + self._rate * distance) * DT
        self._speed = (self._speed - self._rate * carried) * self._decay
        self.value = target + (distance + carried) * self._decay
        return self.value


class Sway:
    """Smooth noise of unit size below `hertz`: an Ornstein-Uhlenbeck process followed by a spring."""

    def __init__(self, random: Random, hertz: float) -> None:
        slow, fast = math.pi * hertz, 2 * math.pi * hertz
        self._random = random
        self._keep = math.exp(-slow * DT)
        # A spring of rate w leaves w(a + 2w) / 2(a + w)² of the variance of a process that forgets at rate a.
        self._kick = math.sqrt((1 - self._keep**2) * 2 * (slow + fast) ** 2 / (fast * (slow + 2 * fast)))
        self._drive = 0.0
        self._spring = Spring(hertz)

    def tick(self) -> float:
        """The next value; the first ones grow from 0."""
        self._drive = self._keep * self._drive + self._kick * self._random.gauss(0, 1)
        return self._spring.tick(self._drive)


class Beat:
    """A pulse of given height: up softly within `rise` seconds, back within `fall`; one at a time."""

    def __init__(self, rise: float, fall: float) -> None:
        self._rise, self._fall = rise, fall
        self._age, self._height = math.inf, 0.0

    @property
    def busy(self) -> bool:
        """Whether the last one is still under way."""
        return self._age < self._rise + self._fall

    def start(self, height: float) -> None:
        """Begin a pulse now."""
        self._age, self._height = 0.0, height

    def tick(self) -> float:
        """The pulse one tick later."""
        self._age += DT
        return self._height * (smooth(self._age / self._rise) - smooth((self._age - self._rise) / self._fall))

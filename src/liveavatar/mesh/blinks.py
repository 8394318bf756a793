"""When the lids close, and how.

Intervals are log-normal, 17 blinks a minute at rest and 26 in conversation (Bentivoglio et al. 1997); some come at the
ends of phrases (Nakano & Kitazawa 2010) and with large shifts of gaze (Evinger et al. 1994).
"""

import math
from random import Random

from liveavatar.mesh.cues import Phrase
from liveavatar.mesh.signals import DEGREE, DT, smooth


def urge(phrase: Phrase, jump: float) -> float:
    """Chance that a blink starts now: at the end of a phrase, or with a shift of gaze by `jump` radians."""
    return max(0.45 if phrase.ended else 0.0, 0.5 if jump > 2 * DEGREE else 0.0)


class Blinks:
    """One pair of lids: fast down, slowly up."""

    CLOSING, SHUT, OPENING = 0.08, 0.03, 0.15
    DEEPEST = 0.75
    """A lid that goes on to the end shows no more at 25 frames a second, and takes a drawn face further from itself."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._age = 0.0  # seconds since the last blink began; at first, one too shallow to see
        self._depth, self._lag = 0.0, 0.0
        self._left = max(self._interval(), 1.0)

    def tick(self, speaking: float, urge: float) -> tuple[float, float]:
        """How far the left and the right eye are shut; `urge` is the chance of a blink right now."""
        self._left -= DT * (1 + 0.5 * speaking)
        self._age += DT
        pressed = urge > 0 and self._age > 1.0 and self._random.random() < urge
        if pressed or (self._left < 0 and self._age > self.CLOSING + self.SHUT + self.OPENING):
            self._start()
        return self._lid(self._age - max(self._lag, 0.0)), self._lid(self._age + min(self._lag, 0.0))

    def _start(self) -> None:
        self._age = 0.0
        self._depth = self.DEEPEST * (
            1.0 if self._random.random() < 0.85 else self._random.uniform(0.7, 0.95)
        )
        self._lag = self._random.uniform(-0.008, 0.008)
        self._left = 0.34 if self._random.random() < 0.05 else self._interval()

    def _interval(self) -> float:
        """Seconds from the start of one blink to that of the next, at rest."""
        return min(max(self._random.lognormvariate(math.log(4.1), 0.5), 0.9), 14.0)

    def _lid(self, age: float) -> float:
        closing = smooth(age / self.CLOSING)
        opening = (age - self.CLOSING - self.SHUT) / self.OPENING
        return self._depth * (closing - smooth(max(opening, 0.0) ** 0.8))

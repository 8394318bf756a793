"""Where the eyes look: fixations on the viewer and the saccades between them.

A saccade lasts 21 ms and 2.2 ms for each degree (Carpenter 1988).
"""

import math
from random import Random

from liveavatar.mesh.cues import Phrase
from liveavatar.mesh.signals import DEGREE, DT, smooth


class Gaze:
    """Fixations and the saccades between them; where the eyes look relative to the viewer, in radians."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._from = self._to = (0.0, 0.0)
        self._age, self._duration = math.inf, DT
        self._left = random.uniform(0.5, 1.5)
        self._away = False

    def tick(self, phrase: Phrase) -> tuple[float, float, float]:
        """To the right, down, and the size of the saccade that starts now."""
        jump = 0.0
        self._left -= DT
        self._age += DT
        if self._left < 0 or (phrase.started and self._random.random() < 0.2):
            jump = self._saccade(large=not self._away and self._random.random() < 0.1)
        share = smooth(self._age / self._duration)
        (x0, y0), (x1, y1) = self._from, self._to
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0), jump

    def _saccade(self, *, large: bool) -> float:
        """Most go to a spot next to the last one; a large one looks aside, and the next comes back."""
        size = self._random.uniform(2.5, 5.0) if large else min(self._random.expovariate(1 / 0.4), 1.5)
        angle = self._random.uniform(-math.pi, math.pi)
        self._from = self._to
        self._to = (size * DEGREE * math.cos(angle), 0.6 * size * DEGREE * math.sin(angle))
        jump = math.dist(self._from, self._to)
        self._age, self._duration = 0.0, 0.021 + 0.0022 * jump / DEGREE
        median = 0.6 if large else 1.0
        self._left = min(max(self._random.lognormvariate(math.log(median), 0.6), 0.3), 3.0)
        self._away = large
        return jump

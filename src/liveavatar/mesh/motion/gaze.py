"""Where the eyes look: fixations on the viewer and the saccades between them.

A saccade lasts 21 ms and 2.2 ms for each degree (Carpenter 1988).
"""

import math
from random import Random

from liveavatar.mesh.motion.signals import RADIANS_PER_DEGREE, TICK_SECONDS, ease_in_out
from liveavatar.mesh.motion.speech_cues import PhraseTracker


class GazeProcess:
    """Fixations and the saccades between them; where the eyes look relative to the viewer, in radians."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._start_direction = self._target_direction = (0.0, 0.0)
        self._age, self._duration = math.inf, TICK_SECONDS
        self._seconds_left = random.uniform(0.5, 1.5)
        self._is_averted = False

    def next_direction(self, phrase: PhraseTracker) -> tuple[float, float, float]:
        """To the right, down, and the size of the saccade that starts now."""
        jump = 0.0
        self._seconds_left -= TICK_SECONDS
        self._age += TICK_SECONDS
        if self._seconds_left < 0 or (phrase.started and self._random.random() < 0.2):
            jump = self._start_saccade(large=not self._is_averted and self._random.random() < 0.1)
        share = ease_in_out(self._age / self._duration)
        (x0, y0), (x1, y1) = self._start_direction, self._target_direction
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0), jump

    def _start_saccade(self, *, large: bool) -> float:
        """Most go to a spot next to the last one; a large one looks aside, and the next comes back."""
        size = self._random.uniform(2.5, 5.0) if large else min(self._random.expovariate(1 / 0.4), 1.5)
        angle = self._random.uniform(-math.pi, math.pi)
        self._start_direction = self._target_direction
        self._target_direction = (
            size * RADIANS_PER_DEGREE * math.cos(angle),
            0.6 * size * RADIANS_PER_DEGREE * math.sin(angle),
        )
        jump = math.dist(self._start_direction, self._target_direction)
        self._age, self._duration = 0.0, 0.021 + 0.0022 * jump / RADIANS_PER_DEGREE
        median = 0.6 if large else 1.0
        self._seconds_left = min(max(self._random.lognormvariate(math.log(median), 0.6), 0.3), 3.0)
        self._is_averted = large
        return jump

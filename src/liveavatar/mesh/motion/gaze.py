"""Gaze: fixations on and around the viewer, and the saccades between them.

A saccade lasts 21 ms and 2.2 ms per degree (Carpenter, Movements of the Eyes, 1988). Sizes and intervals were chosen by
eye: small saccades within the viewer's face, rarely a larger one aside.
"""

import math
from random import Random

from liveavatar.mesh.motion.signals import RADIANS_PER_DEGREE, TICK_SECONDS, ease_in_out
from liveavatar.mesh.motion.speech_cues import PhraseTracker

GAZE_STYLES = ("natural", "camera")
"""Saccades around and rarely away from the viewer; or micro-saccades alone, so that the eyes keep on the viewer."""


class GazeProcess:
    """The direction of the eyes relative to the viewer, in radians."""

    SACCADE_SECONDS, SACCADE_SECONDS_PER_DEGREE = 0.021, 0.0022
    PHRASE_START_PROBABILITY = 0.2
    """Probability of a saccade at the start of a phrase."""
    LARGE_SHARE, LARGE_DEGREES = 0.1, (2.5, 5.0)
    """Share of saccades that look aside, and range of their sizes."""
    MEAN_SMALL_DEGREES, MAX_SMALL_DEGREES = 0.4, 1.5
    """Distance from the viewer after the others: exponentially distributed, limited."""
    MAX_MICRO_DEGREES = 0.25
    """Largest distance from the viewer after a micro-saccade; two are at most twice that apart. Micro-saccades are
    under half a degree and come once or twice a second (Rolfs, Vision Research 49, 2009)."""
    VERTICAL_SHARE = 0.6
    """Height of the region that is looked at, relative to its width."""
    MEDIAN_FIXATION_SECONDS, MEDIAN_AVERTED_SECONDS = 1.0, 0.6
    FIXATION_SPREAD, FIXATION_LIMITS = 0.6, (0.3, 3.0)
    """Log-normal distribution of the duration of fixations: medians, standard deviation of the logarithm, limits."""

    def __init__(self, random: Random, style: str = "natural") -> None:
        """`style` is one of GAZE_STYLES."""
        self._random = random
        self._only_micro = style == "camera"
        self._start_direction = self._target_direction = (0.0, 0.0)
        self._age, self._duration = math.inf, TICK_SECONDS
        self._seconds_left = random.uniform(0.5, 1.5)
        self._is_averted = False

    def next_direction(self, phrase: PhraseTracker) -> tuple[float, float, float]:
        """Gaze to the right and down one tick later, and the size of the saccade that starts now, or 0; radians."""
        saccade_size = 0.0
        self._seconds_left -= TICK_SECONDS
        self._age += TICK_SECONDS
        if self._seconds_left < 0 or (
            phrase.started and self._random.random() < self.PHRASE_START_PROBABILITY
        ):
            saccade_size = self._start_saccade()
        share = ease_in_out(self._age / self._duration)
        (x0, y0), (x1, y1) = self._start_direction, self._target_direction
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0), saccade_size

    def _start_saccade(self) -> float:
        """Start a saccade to a point near the viewer or, rarely and not twice in a row, aside; its size in radians."""
        large = not self._only_micro and not self._is_averted and self._random.random() < self.LARGE_SHARE
        if large:
            size = self._random.uniform(*self.LARGE_DEGREES)
        elif self._only_micro:
            size = self._random.uniform(0.0, self.MAX_MICRO_DEGREES)
        else:
            size = min(self._random.expovariate(1 / self.MEAN_SMALL_DEGREES), self.MAX_SMALL_DEGREES)
        angle = self._random.uniform(-math.pi, math.pi)
        x = size * RADIANS_PER_DEGREE * math.cos(angle)
        y = self.VERTICAL_SHARE * size * RADIANS_PER_DEGREE * math.sin(angle)
        self._start_direction, self._target_direction = self._target_direction, (x, y)
        saccade_size = math.dist(self._start_direction, self._target_direction)
        turn_seconds = self.SACCADE_SECONDS_PER_DEGREE * saccade_size / RADIANS_PER_DEGREE
        self._age, self._duration = 0.0, self.SACCADE_SECONDS + turn_seconds
        self._seconds_left = self._draw_fixation(large=large)
        self._is_averted = large
        return saccade_size

    def _draw_fixation(self, *, large: bool) -> float:
        """Seconds until the next saccade."""
        median = self.MEDIAN_AVERTED_SECONDS if large else self.MEDIAN_FIXATION_SECONDS
        low, high = self.FIXATION_LIMITS
        return min(max(self._random.lognormvariate(math.log(median), self.FIXATION_SPREAD), low), high)

"""Blinks.

Intervals are log-normal: 17 blinks a minute at rest, 26 in conversation (Bentivoglio et al., Movement Disorders 12,
1997). Some occur at the ends of phrases (Nakano and Kitazawa, Exp. Brain Res. 205, 2010) and with large saccades
(Evinger et al., Exp. Brain Res. 100, 1994).
"""

import math
from random import Random

from liveavatar.mesh.motion.signals import RADIANS_PER_DEGREE, TICK_SECONDS, ease_in_out
from liveavatar.mesh.motion.speech_cues import PhraseTracker

PHRASE_END_PROBABILITY = 0.45
SACCADE_PROBABILITY, MIN_SACCADE_RADIANS = 0.5, 2 * RADIANS_PER_DEGREE
"""Probabilities of a blink at the end of a phrase, and with a saccade of at least this size."""


def blink_probability(phrase: PhraseTracker, saccade_size: float) -> float:
    """Probability that a blink starts at this tick: the end of a phrase, or a saccade of `saccade_size` radians."""
    at_end = PHRASE_END_PROBABILITY if phrase.ended else 0.0
    return max(at_end, SACCADE_PROBABILITY if saccade_size > MIN_SACCADE_RADIANS else 0.0)


class BlinkProcess:
    """The blinks of both eyes: lids close fast and open slowly."""

    CLOSING_SECONDS, SHUT_SECONDS, OPENING_SECONDS = 0.09, 0.06, 0.19
    """Median durations. Lids cover the eye from seven eighths of the way on: for two or three frames at 25 fps."""
    DURATION_SPREAD, DURATION_LIMITS = 0.12, (0.85, 1.3)
    """Log-normal distribution of the duration of a blink relative to these: deviation of its logarithm, limits."""
    MAX_LAG_SECONDS = 0.008
    """Largest delay of one eye behind the other."""
    MEDIAN_INTERVAL_SECONDS, INTERVAL_SPREAD, INTERVAL_LIMITS = 3.8, 0.6, (0.9, 14.0)
    """Log-normal distribution of the time between blinks at rest: median, deviation of its logarithm, limits."""
    DOUBLE_SHARE, DOUBLE_SECONDS = 0.05, 0.34
    """Share of blinks that are followed by another, and time between the two."""
    REFRACTORY_SECONDS = 1.0
    """Time after a blink in which phrases and saccades start none."""
    SPEAKING_RATE = 0.5
    """Relative growth of the rate of blinks while speaking."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._seconds_since_blink = 0.0
        self._duration, self._left_lag_seconds = 0.0, 0.0  # no blink so far
        self._seconds_left = max(self._draw_interval(), 1.0)

    def next_closures(self, speaking: float, probability: float) -> tuple[float, float]:
        """Closure of the left and of the right eye one tick later; `probability` is that of a blink right now."""
        self._seconds_left -= TICK_SECONDS * (1 + self.SPEAKING_RATE * speaking)
        self._seconds_since_blink += TICK_SECONDS
        is_cued = (
            probability > 0
            and self._seconds_since_blink > self.REFRACTORY_SECONDS
            and self._random.random() < probability
        )
        duration = self._duration * (self.CLOSING_SECONDS + self.SHUT_SECONDS + self.OPENING_SECONDS)
        if is_cued or (self._seconds_left < 0 and self._seconds_since_blink > duration):
            self._start_blink()
        left_age = self._seconds_since_blink - max(self._left_lag_seconds, 0.0)
        right_age = self._seconds_since_blink + min(self._left_lag_seconds, 0.0)
        return self._lid_closure(left_age), self._lid_closure(right_age)

    def _start_blink(self) -> None:
        low, high = self.DURATION_LIMITS
        duration = self._random.lognormvariate(0.0, self.DURATION_SPREAD)
        self._seconds_since_blink, self._duration = 0.0, min(max(duration, low), high)
        self._left_lag_seconds = self._random.uniform(-self.MAX_LAG_SECONDS, self.MAX_LAG_SECONDS)
        is_double = self._random.random() < self.DOUBLE_SHARE
        self._seconds_left = self.DOUBLE_SECONDS if is_double else self._draw_interval()

    def _draw_interval(self) -> float:
        """Seconds from the start of a blink to that of the next, at rest."""
        seconds = self._random.lognormvariate(math.log(self.MEDIAN_INTERVAL_SECONDS), self.INTERVAL_SPREAD)
        low, high = self.INTERVAL_LIMITS
        return min(max(seconds, low), high)

    def _lid_closure(self, age: float) -> float:
        """Closure `age` seconds after a blink has started."""
        age = age / self._duration if self._duration else math.inf
        closing = ease_in_out(age / self.CLOSING_SECONDS)
        opening = (age - self.CLOSING_SECONDS - self.SHUT_SECONDS) / self.OPENING_SECONDS
        return closing - ease_in_out(max(opening, 0.0) ** 0.8)

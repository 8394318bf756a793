"""When the lids close, and how.

Intervals are log-normal, 17 blinks a minute at rest and 26 in conversation (Bentivoglio et al. 1997); some come at the
ends of phrases (Nakano & Kitazawa 2010) and with large shifts of gaze (Evinger et al. 1994).
"""

import math
from random import Random

from liveavatar.mesh.motion.signals import RADIANS_PER_DEGREE, TICK_SECONDS, ease_in_out
from liveavatar.mesh.motion.speech_cues import PhraseTracker


def blink_probability(phrase: PhraseTracker, saccade_size: float) -> float:
    """Chance that a blink starts now: at the end of a phrase, or with a shift of gaze by `jump` radians."""
    return max(0.45 if phrase.ended else 0.0, 0.5 if saccade_size > 2 * RADIANS_PER_DEGREE else 0.0)


class BlinkProcess:
    """One pair of lids: fast down, slowly up."""

    CLOSING_SECONDS, SHUT_SECONDS, OPENING_SECONDS = 0.08, 0.03, 0.15
    MAX_CLOSURE = 0.75
    """A lid that goes on to the end shows no more at 25 frames a second, and takes a drawn face further from itself."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._seconds_since_blink = (
            0.0  # seconds since the last blink began; at first, one too shallow to see
        )
        self._closure_depth, self._left_lag_seconds = 0.0, 0.0
        self._seconds_left = max(self._draw_interval(), 1.0)

    def next_closures(self, speaking: float, probability: float) -> tuple[float, float]:
        """How far the left and the right eye are shut; `urge` is the chance of a blink right now."""
        self._seconds_left -= TICK_SECONDS * (1 + 0.5 * speaking)
        self._seconds_since_blink += TICK_SECONDS
        pressed = probability > 0 and self._seconds_since_blink > 1.0 and self._random.random() < probability
        if pressed or (
            self._seconds_left < 0
            and self._seconds_since_blink > self.CLOSING_SECONDS + self.SHUT_SECONDS + self.OPENING_SECONDS
        ):
            self._start_blink()
        return self._lid_closure(
            self._seconds_since_blink - max(self._left_lag_seconds, 0.0)
        ), self._lid_closure(self._seconds_since_blink + min(self._left_lag_seconds, 0.0))

    def _start_blink(self) -> None:
        self._seconds_since_blink = 0.0
        self._closure_depth = self.MAX_CLOSURE * (
            1.0 if self._random.random() < 0.85 else self._random.uniform(0.7, 0.95)
        )
        self._left_lag_seconds = self._random.uniform(-0.008, 0.008)
        self._seconds_left = 0.34 if self._random.random() < 0.05 else self._draw_interval()

    def _draw_interval(self) -> float:
        """Seconds from the start of one blink to that of the next, at rest."""
        return min(max(self._random.lognormvariate(math.log(4.1), 0.5), 0.9), 14.0)

    def _lid_closure(self, age: float) -> float:
        closing = ease_in_out(age / self.CLOSING_SECONDS)
        opening = (age - self.CLOSING_SECONDS - self.SHUT_SECONDS) / self.OPENING_SECONDS
        return self._closure_depth * (closing - ease_in_out(max(opening, 0.0) ** 0.8))

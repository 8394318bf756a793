"""Breathing: 12 to 18 breaths a minute; while speaking, quick deep breaths in the pauses and slow exhalation.

Durations and depths were chosen by eye, within these rates.
"""

from random import Random

from liveavatar.mesh.motion.signals import TICK_SECONDS, DampedSpring, ease_in_out
from liveavatar.mesh.motion.speech_cues import PhraseTracker


class BreathProcess:
    """The fullness of the chest, 0…1, breath after breath."""

    SMOOTHING_HERTZ = 1.5
    SHORT_OF_BREATH = 0.6
    """Fullness below which the end of a phrase starts a quick deep breath."""
    QUICK_FULLNESS, QUICK_SECONDS = (0.75, 1.0), (0.45, 0.7)
    """Ranges of the fullness after a quick breath and of its duration."""
    REST_FULLNESS, REST_SECONDS = 0.45, 1.5
    SPEAKING_FULLNESS, SPEAKING_SECONDS = 0.6, 0.7
    """Mean fullness after an ordinary breath and its duration, at rest and while speaking."""
    FULLNESS_RANGE = (0.8, 1.2)
    """Range of that fullness relative to its mean."""
    EXHALED_FULLNESS = (0.0, 0.1)
    REST_EXHALING_SECONDS, SPEAKING_EXHALING_SECONDS = 2.5, 4.0
    DURATION_SPREAD = 0.12
    """Standard deviation of the logarithm of a duration."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._start_fullness, self._target_fullness = 0.0, 0.0
        self._age, self._duration = 0.0, random.uniform(0.3, 1.0)
        self._is_inhaling = False
        self._spring = DampedSpring(self.SMOOTHING_HERTZ)

    def next_fullness(self, phrase: PhraseTracker) -> float:
        """The fullness one tick later."""
        self._age += TICK_SECONDS
        if phrase.ended and self._spring.value < self.SHORT_OF_BREATH:
            fullness = self._random.uniform(*self.QUICK_FULLNESS)
            self._breathe_to(fullness, self._random.uniform(*self.QUICK_SECONDS))
        elif self._age >= self._duration:
            self._start_phase(phrase)
        share = ease_in_out(self._age / self._duration)
        change = self._target_fullness - self._start_fullness
        return self._spring.step_towards(self._start_fullness + share * change)

    def _start_phase(self, phrase: PhraseTracker) -> None:
        """Breathe out after breathing in, and in after breathing out."""
        pace = self._random.lognormvariate(0, self.DURATION_SPREAD)
        if self._is_inhaling:
            seconds = self.SPEAKING_EXHALING_SECONDS if phrase.speaking else self.REST_EXHALING_SECONDS
            self._breathe_to(self._random.uniform(*self.EXHALED_FULLNESS), seconds * pace)
        else:
            mean = self.SPEAKING_FULLNESS if phrase.speaking else self.REST_FULLNESS
            seconds = self.SPEAKING_SECONDS if phrase.speaking else self.REST_SECONDS
            self._breathe_to(mean * self._random.uniform(*self.FULLNESS_RANGE), seconds * pace)

    def _breathe_to(self, fullness: float, seconds: float) -> None:
        self._start_fullness, self._target_fullness = self._spring.value, fullness
        self._age, self._duration = 0.0, seconds
        self._is_inhaling = fullness > self._start_fullness

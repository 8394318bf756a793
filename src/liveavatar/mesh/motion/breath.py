"""The breath: 12 to 18 a minute; while speaking quick and deep in the pauses, slow while the voice lasts."""

from random import Random

from liveavatar.mesh.motion.signals import TICK_SECONDS, DampedSpring, ease_in_out
from liveavatar.mesh.motion.speech_cues import PhraseTracker


class BreathProcess:
    """How full the chest is, 0…1, breath after breath."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._start_fullness, self._target_fullness = 0.0, 0.0
        self._age, self._duration = 0.0, random.uniform(0.3, 1.0)
        self._is_inhaling = False
        self._spring = DampedSpring(1.5)

    def next_fullness(self, phrase: PhraseTracker) -> float:
        """The next value; whoever is short of breath uses a pause after speech for a quick deep one."""
        self._age += TICK_SECONDS
        if phrase.ended and self._spring.value < 0.6:
            self._breathe_to(
                fullness=self._random.uniform(0.75, 1.0), seconds=self._random.uniform(0.45, 0.7)
            )
        elif self._age >= self._duration:
            self._start_phase(phrase)
        return self._spring.step_towards(
            self._start_fullness
            + ease_in_out(self._age / self._duration) * (self._target_fullness - self._start_fullness)
        )

    def _start_phase(self, phrase: PhraseTracker) -> None:
        vary = self._random.lognormvariate(0, 0.12)
        if self._is_inhaling:
            self._breathe_to(
                fullness=self._random.uniform(0.0, 0.1), seconds=(4.0 if phrase.speaking else 2.5) * vary
            )
        else:
            deep, seconds = (0.6, 0.7) if phrase.speaking else (0.45, 1.5)
            self._breathe_to(fullness=deep * self._random.uniform(0.8, 1.2), seconds=seconds * vary)

    def _breathe_to(self, *, fullness: float, seconds: float) -> None:
        self._start_fullness, self._target_fullness = self._spring.value, fullness
        self._age, self._duration = 0.0, seconds
        self._is_inhaling = fullness > self._start_fullness

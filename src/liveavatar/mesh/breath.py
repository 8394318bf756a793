"""The breath: 12 to 18 a minute; while speaking quick and deep in the pauses, slow while the voice lasts."""

from random import Random

from liveavatar.mesh.cues import Phrase
from liveavatar.mesh.signals import DT, Spring, smooth


class Breath:
    """How full the chest is, 0…1, breath after breath."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._from, self._to = 0.0, 0.0
        self._age, self._duration = 0.0, random.uniform(0.3, 1.0)
        self._full = False
        self._spring = Spring(1.5)

    def tick(self, phrase: Phrase) -> float:
        """The next value; whoever is short of breath uses a pause after speech for a quick deep one."""
        self._age += DT
        if phrase.ended and self._spring.value < 0.6:
            self._turn(to=self._random.uniform(0.75, 1.0), seconds=self._random.uniform(0.45, 0.7))
        elif self._age >= self._duration:
            self._next(phrase)
        return self._spring.tick(self._from + smooth(self._age / self._duration) * (self._to - self._from))

    def _next(self, phrase: Phrase) -> None:
        vary = self._random.lognormvariate(0, 0.12)
        if self._full:
            self._turn(to=self._random.uniform(0.0, 0.1), seconds=(4.0 if phrase.speaking else 2.5) * vary)
        else:
            deep, seconds = (0.6, 0.7) if phrase.speaking else (0.45, 1.5)
            self._turn(to=deep * self._random.uniform(0.8, 1.2), seconds=seconds * vary)

    def _turn(self, *, to: float, seconds: float) -> None:
        self._from, self._to = self._spring.value, to
        self._age, self._duration = 0.0, seconds
        self._full = to > self._from

"""How the head is held: it sways, changes its posture between phrases, and nods on stressed syllables.

Slow (mostly under 1 Hz), larger and livelier while speaking, with beats on stressed syllables (Hadar et al. 1983,
"Kinematics of head movements accompanying speech"; Munhall et al. 2004).
"""

import math
from random import Random

from liveavatar.mesh.cues import Accents, Phrase, Voice
from liveavatar.mesh.signals import DEGREE, DT, Beat, Spring, Sway

LARGEST = math.radians(6)
"""No angle of the head goes beyond this, whatever the amount."""


def limited(angle: float) -> float:
    """Nearly the angle itself while it is small, never beyond LARGEST."""
    return LARGEST * math.tanh(angle / LARGEST)


class Posture:
    """The pose that the head returns to; it changes every few seconds, best between phrases."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._targets = (0.0, 0.0, 0.0, 0.0)
        self._springs = [Spring(0.22) for _ in self._targets]
        self._left = random.uniform(1.0, 2.5)

    def tick(self, phrase: Phrase) -> list[float]:
        """Yaw, pitch, roll in radians and the sideways shift."""
        self._left -= DT * (0.4 if phrase.speaking else 1.0)
        if self._left < 0 or (phrase.ended and self._random.random() < 0.6):
            self._shift()
        return [spring.tick(target) for spring, target in zip(self._springs, self._targets, strict=True)]

    def _shift(self) -> None:
        yaw, pitch, roll = (self._draw(size * DEGREE) for size in (1.3, 0.6, 0.8))
        self._targets = (yaw, pitch, roll + 0.3 * yaw, 0.15 * yaw + self._draw(0.004))
        self._left = self._random.lognormvariate(math.log(5), 0.5)

    def _draw(self, size: float) -> float:
        """Normal, without its tails."""
        return min(max(self._random.gauss(0, size), -2 * size), 2 * size)


class Head:
    """Turns, tilts and shifts of the head, and the brows that go with its beats."""

    def __init__(self, seed: int) -> None:
        random = Random(f"{seed} head")
        self._posture = Posture(Random(f"{seed} posture"))
        self._sways = [Sway(Random(f"{seed} sway {axis}"), 0.55) for axis in range(5)]
        self._random = random
        self._liveliness = Spring(0.6)
        self._melody = Spring(0.7)
        self._accents = Accents()
        self._nod, self._raise = Beat(0.18, 0.40), Beat(0.22, 0.55)

    def tick(self, voice: Voice, phrase: Phrase) -> tuple[float, float, float, float, float, float]:
        """Yaw, pitch, roll, shift to the right, shift down, and how far the brows are raised."""
        if self._accents.tick(voice.emphasis) and not self._nod.busy:
            self._stress(voice.emphasis)
        lively = 0.3 + self._liveliness.tick(voice.speaking * (0.35 + 0.65 * voice.energy))
        yaw, pitch, roll, aside = (min(0.3 + lively, 1.0) * value for value in self._posture.tick(phrase))
        sway = [lively * noise.tick() for noise in self._sways]
        melody = self._melody.tick(voice.speaking * voice.pitch)
        nod = self._nod.tick()
        return (
            yaw + 0.9 * DEGREE * sway[0],
            pitch + DEGREE * (0.6 * sway[1] - 0.1 * melody) + nod,
            roll + DEGREE * (0.45 * sway[2] + 0.25 * sway[0]),
            aside + 0.004 * sway[3] + 0.1 * DEGREE * sway[0],
            0.003 * sway[4] + 0.15 * nod,
            self._raise.tick() + 0.02 * max(melody, 0.0),
        )

    def _stress(self, emphasis: float) -> None:
        """Mark a stressed syllable: mostly with a nod, sometimes with the brows, often with both."""
        if self._random.random() < 0.75:
            self._nod.start(self._random.uniform(0.5, 1.5) * min(0.5 + emphasis, 1.0) * DEGREE)
        if self._random.random() < 0.4 and not self._raise.busy:
            self._raise.start(self._random.uniform(0.3, 0.8))

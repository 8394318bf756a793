"""How the head is held: it sways, changes its posture between phrases, and nods on stressed syllables.

Slow (mostly under 1 Hz), larger and livelier while speaking, with beats on stressed syllables (Hadar et al. 1983,
"Kinematics of head movements accompanying speech"; Munhall et al. 2004).
"""

import math
from random import Random

from liveavatar.mesh.motion.signals import (
    RADIANS_PER_DEGREE,
    TICK_SECONDS,
    DampedSpring,
    PulseEnvelope,
    SmoothNoise,
)
from liveavatar.mesh.motion.speech_cues import PhraseTracker, StressDetector, VoiceCues

MAX_ANGLE_RADIANS = math.radians(6)
"""No angle of the head goes beyond this, whatever the amount."""


def limit_angle(angle: float) -> float:
    """Nearly the angle itself while it is small, never beyond LARGEST."""
    return MAX_ANGLE_RADIANS * math.tanh(angle / MAX_ANGLE_RADIANS)


class PostureProcess:
    """The pose that the head returns to; it changes every few seconds, best between phrases."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._targets = (0.0, 0.0, 0.0, 0.0)
        self._springs = [DampedSpring(0.22) for _ in self._targets]
        self._seconds_left = random.uniform(1.0, 2.5)

    def next_posture(self, phrase: PhraseTracker) -> list[float]:
        """Yaw, pitch, roll in radians and the sideways shift."""
        self._seconds_left -= TICK_SECONDS * (0.4 if phrase.speaking else 1.0)
        if self._seconds_left < 0 or (phrase.ended and self._random.random() < 0.6):
            self._change_posture()
        return [
            spring.step_towards(target) for spring, target in zip(self._springs, self._targets, strict=True)
        ]

    def _change_posture(self) -> None:
        yaw, pitch, roll = (self._draw_normal(size * RADIANS_PER_DEGREE) for size in (1.3, 0.6, 0.8))
        self._targets = (yaw, pitch, roll + 0.3 * yaw, 0.15 * yaw + self._draw_normal(0.004))
        self._seconds_left = self._random.lognormvariate(math.log(5), 0.5)

    def _draw_normal(self, size: float) -> float:
        """Normal, without its tails."""
        return min(max(self._random.gauss(0, size), -2 * size), 2 * size)


class HeadMotionProcess:
    """Turns, tilts and shifts of the head, and the brows that go with its beats."""

    def __init__(self, seed: int) -> None:
        random = Random(f"{seed} head")
        self._posture = PostureProcess(Random(f"{seed} posture"))
        self._sway_noises = [SmoothNoise(Random(f"{seed} sway {axis}"), 0.55) for axis in range(5)]
        self._random = random
        self._liveliness_spring = DampedSpring(0.6)
        self._pitch_spring = DampedSpring(0.7)
        self._stress_detector = StressDetector()
        self._nod_pulse, self._brow_pulse = PulseEnvelope(0.18, 0.40), PulseEnvelope(0.22, 0.55)

    def next_motion(
        self, voice: VoiceCues, phrase: PhraseTracker
    ) -> tuple[float, float, float, float, float, float]:
        """Yaw, pitch, roll, shift to the right, shift down, and how far the brows are raised."""
        if self._stress_detector.detect_stress(voice.emphasis) and not self._nod_pulse.is_active:
            self._start_beats(voice.emphasis)
        lively = 0.3 + self._liveliness_spring.step_towards(voice.speaking * (0.35 + 0.65 * voice.energy))
        yaw, pitch, roll, aside = (
            min(0.3 + lively, 1.0) * value for value in self._posture.next_posture(phrase)
        )
        sway = [lively * noise.next_value() for noise in self._sway_noises]
        melody = self._pitch_spring.step_towards(voice.speaking * voice.pitch)
        nod = self._nod_pulse.next_value()
        return (
            yaw + 0.9 * RADIANS_PER_DEGREE * sway[0],
            pitch + RADIANS_PER_DEGREE * (0.6 * sway[1] - 0.1 * melody) + nod,
            roll + RADIANS_PER_DEGREE * (0.45 * sway[2] + 0.25 * sway[0]),
            aside + 0.004 * sway[3] + 0.1 * RADIANS_PER_DEGREE * sway[0],
            0.003 * sway[4] + 0.15 * nod,
            self._brow_pulse.next_value() + 0.02 * max(melody, 0.0),
        )

    def _start_beats(self, emphasis: float) -> None:
        """Mark a stressed syllable: mostly with a nod, sometimes with the brows, often with both."""
        if self._random.random() < 0.75:
            self._nod_pulse.start_pulse(
                self._random.uniform(0.5, 1.5) * min(0.5 + emphasis, 1.0) * RADIANS_PER_DEGREE
            )
        if self._random.random() < 0.4 and not self._brow_pulse.is_active:
            self._brow_pulse.start_pulse(self._random.uniform(0.3, 0.8))

"""Head motion: sway, leaning, changes of posture between phrases, and nods on stressed syllables.

Mostly below 1 Hz, larger while speaking, with beats on stressed syllables: Hadar et al., "Kinematics of head movements
accompanying speech during conversation", Human Movement Science 2, 1983; Munhall et al., "Visual prosody and speech
intelligibility", Psychological Science 15, 2004. Amounts come near those of a filmed speaker (`docs/mesh.md`), within
MAX_ANGLE_RADIANS and MAX_SHIFT.
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
"""Limit of every angle of the head: beyond it the linear fields of `geometry/head_basis` are visibly wrong."""

MAX_SHIFT = 0.2
"""Limit of the shifts of the head, interocular units: `geometry/head_basis` spreads them over the neck."""


def limit_smoothly(value: float, largest: float) -> float:
    """`value` compressed smoothly: almost unchanged while small, never beyond `largest`."""
    return largest * math.tanh(value / largest)


class LeanProcess:
    """Shifts of the head with neck and shoulders, to the right and down, as people lean while they speak."""

    SLOW_HERTZ, FAST_HERTZ = 0.3, 1.3
    SLOW_SIZES, FAST_SIZES = (0.046, 0.038), (0.016, 0.016)
    """Standard deviations to the right and down while speaking, interocular units."""

    def __init__(self, seed: int) -> None:
        axes = [Random(f"{seed} lean {axis}") for axis in range(4)]
        self._slow_noises = [SmoothNoise(random, self.SLOW_HERTZ) for random in axes[:2]]
        self._fast_noises = [SmoothNoise(random, self.FAST_HERTZ) for random in axes[2:]]

    def next_shift(self) -> tuple[float, float]:
        """Shifts to the right and down one tick later."""
        right, down = (
            slow_size * slow.next_value() + fast_size * fast.next_value()
            for slow_size, slow, fast_size, fast in zip(
                self.SLOW_SIZES, self._slow_noises, self.FAST_SIZES, self._fast_noises, strict=True
            )
        )
        return right, down


class PostureProcess:
    """The pose that the head sways around; it changes every few seconds, mostly between phrases."""

    SPRING_HERTZ = 0.22
    SIZES_DEGREES = (1.3, 0.6, 0.8)
    """Standard deviations of yaw, pitch and roll."""
    ROLL_PER_YAW = 0.3
    SHIFT_PER_YAW, SHIFT_SIZE = 0.15, 0.004
    """Sideways shift per radian of yaw, and standard deviation of the rest, interocular units."""
    MEDIAN_SECONDS, SECONDS_SPREAD = 5, 0.5
    """Log-normal distribution of the time between changes: median, and standard deviation of the logarithm."""
    SPEAKING_PACE = 0.4
    """Pace of that time while speaking."""
    PHRASE_END_PROBABILITY = 0.6
    """Probability of a change at the end of a phrase."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._targets = (0.0, 0.0, 0.0, 0.0)
        self._springs = [DampedSpring(self.SPRING_HERTZ) for _ in self._targets]
        self._seconds_left = random.uniform(1.0, 2.5)

    def next_posture(self, phrase: PhraseTracker) -> list[float]:
        """Yaw, pitch and roll in radians and the shift to the right in interocular units, one tick later."""
        self._seconds_left -= TICK_SECONDS * (self.SPEAKING_PACE if phrase.speaking else 1.0)
        if self._seconds_left < 0 or (phrase.ended and self._random.random() < self.PHRASE_END_PROBABILITY):
            self._change_posture()
        targets = zip(self._springs, self._targets, strict=True)
        return [spring.step_towards(target) for spring, target in targets]

    def _change_posture(self) -> None:
        yaw, pitch, roll = (self._draw_normal(size * RADIANS_PER_DEGREE) for size in self.SIZES_DEGREES)
        shift = self.SHIFT_PER_YAW * yaw + self._draw_normal(self.SHIFT_SIZE)
        self._targets = (yaw, pitch, roll + self.ROLL_PER_YAW * yaw, shift)
        self._seconds_left = self._random.lognormvariate(math.log(self.MEDIAN_SECONDS), self.SECONDS_SPREAD)

    def _draw_normal(self, size: float) -> float:
        """A normal number with standard deviation `size`, clipped at two of them."""
        return min(max(self._random.gauss(0, size), -2 * size), 2 * size)


class HeadMotionProcess:
    """Turns, tilts and shifts of the head, and the brows that rise with its beats."""

    SWAY_HERTZ, SWAY_COUNT = 0.55, 3
    LIVELINESS_HERTZ, LIVELINESS_REST = 0.6, 0.3
    """Smoothing of the liveliness of the motion, and its value in silence; speaking adds to it with loudness."""
    QUIET_LIVELINESS, LOUD_LIVELINESS = 0.35, 0.65
    """Liveliness added by quiet speech, and further by the loudest."""
    SWAY_YAW_DEGREES, SWAY_PITCH_DEGREES, SWAY_ROLL_DEGREES = 0.9, 0.6, 0.6
    SWAY_ROLL_PER_YAW, SWAY_SHIFT_PER_YAW = 0.25, 0.1
    """Degrees of roll, and shift in interocular units per degree, that go with the sway of the yaw."""
    PITCH_HERTZ, DEGREES_PER_SEMITONE = 0.7, 0.1
    """Smoothing of the voice's pitch, and rise of the head with it."""
    YAW_PER_LEAN, PITCH_PER_LEAN, ROLL_PER_LEAN = 0.31, 0.26, 0.16
    """Radians that the head turns with a lean by one interocular unit."""
    SHIFT_PER_NOD = 2.8
    """Shift down per radian of a nod, interocular units: neck and shoulders nod along."""
    NOD_SECONDS, BROW_SECONDS = (0.20, 0.45), (0.22, 0.55)
    """Rise and fall of a nod and of the brows."""
    NOD_PROBABILITY, NOD_DEGREES, NOD_BASE = 0.75, (0.9, 2.5), 0.5
    """Probability of a nod on a stressed syllable, range of its size, and share of it that needs no emphasis."""
    BROW_PROBABILITY, BROW_HEIGHTS = 0.4, (0.3, 0.8)
    """Probability that the brows rise on a stressed syllable, and range of the height, 0…1."""

    def __init__(self, seed: int) -> None:
        random = Random(f"{seed} head")
        self._posture = PostureProcess(Random(f"{seed} posture"))
        self._lean = LeanProcess(seed)
        self._sway_noises = [
            SmoothNoise(Random(f"{seed} sway {axis}"), self.SWAY_HERTZ) for axis in range(self.SWAY_COUNT)
        ]
        self._random = random
        self._liveliness_spring = DampedSpring(self.LIVELINESS_HERTZ)
        self._pitch_spring = DampedSpring(self.PITCH_HERTZ)
        self._stress_detector = StressDetector()
        self._nod_pulse = PulseEnvelope(*self.NOD_SECONDS)
        self._brow_pulse = PulseEnvelope(*self.BROW_SECONDS)

    def next_motion(
        self, voice: VoiceCues, phrase: PhraseTracker
    ) -> tuple[float, float, float, float, float, float]:
        """Yaw, pitch, roll, shifts to the right and down, and height of the brows, 0…1, one tick later.

        Angles in radians, shifts in interocular units.
        """
        if self._stress_detector.detect_stress(voice.emphasis) and not self._nod_pulse.is_active:
            self._start_beats(voice.emphasis)
        loudness = self.QUIET_LIVELINESS + self.LOUD_LIVELINESS * voice.energy
        lively = self.LIVELINESS_REST + self._liveliness_spring.step_towards(voice.speaking * loudness)
        posture = self._posture.next_posture(phrase)
        yaw, pitch, roll, right = (min(self.LIVELINESS_REST + lively, 1.0) * value for value in posture)
        sway = [lively * noise.next_value() for noise in self._sway_noises]
        lean_right, lean_down = (lively * shift for shift in self._lean.next_shift())
        melody = self._pitch_spring.step_towards(voice.speaking * voice.pitch)
        nod = self._nod_pulse.next_value()
        degree = RADIANS_PER_DEGREE
        sway_pitch = self.SWAY_PITCH_DEGREES * sway[1] - self.DEGREES_PER_SEMITONE * melody
        sway_roll = self.SWAY_ROLL_DEGREES * sway[2] + self.SWAY_ROLL_PER_YAW * sway[0]
        return (
            yaw + self.SWAY_YAW_DEGREES * degree * sway[0] + self.YAW_PER_LEAN * lean_right,
            pitch + degree * sway_pitch + nod + self.PITCH_PER_LEAN * lean_down,
            roll + degree * sway_roll + self.ROLL_PER_LEAN * lean_right,
            right + lean_right + self.SWAY_SHIFT_PER_YAW * degree * sway[0],
            lean_down + self.SHIFT_PER_NOD * nod,
            self._brow_pulse.next_value(),
        )

    def _start_beats(self, emphasis: float) -> None:
        """Mark a stressed syllable by a nod, by the brows, or by both."""
        if self._random.random() < self.NOD_PROBABILITY:
            strength = min(self.NOD_BASE + emphasis, 1.0)
            size = self._random.uniform(*self.NOD_DEGREES)
            self._nod_pulse.start_pulse(size * strength * RADIANS_PER_DEGREE)
        if self._random.random() < self.BROW_PROBABILITY and not self._brow_pulse.is_active:
            self._brow_pulse.start_pulse(self._random.uniform(*self.BROW_HEIGHTS))

"""What a living head does besides articulating: it sways, nods, looks, blinks and breathes.

Everything is simulated on one clock of 100 ticks a second and read off at the times of the frames, so the same seed and
the same speech give the same motion at any frame rate. Memory is constant. Each process is a module of its own:
`posture`, `gaze`, `blinks`, `breath`, out of the parts in `signals` and led by the `cues` of speech.
"""

import math
from dataclasses import dataclass, fields
from fractions import Fraction
from random import Random

from liveavatar.mesh.motion.blinks import BlinkProcess, blink_probability
from liveavatar.mesh.motion.breath import BreathProcess
from liveavatar.mesh.motion.gaze import GazeProcess
from liveavatar.mesh.motion.posture import HeadMotionProcess, limit_angle
from liveavatar.mesh.motion.signals import RADIANS_PER_DEGREE, TICKS_PER_SECOND, DampedSpring
from liveavatar.mesh.motion.speech_cues import PhraseTracker, VoiceCues

MAX_ANGLE_STEP_RADIANS = math.radians(0.9)
"""No angle of the head changes more than this within 1/25 s at amount 1."""


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Where the head is and what eyes, brows and chest do. Zeros everywhere are the portrait as it is.

    Angles are in radians: `yaw` to the right of the picture, `pitch` down, `roll` clockwise; gaze likewise,
    relative to the head. Shifts go right and down, in distances of the outer eye corners. `blink_left` is the
    subject's left eye, on the right of the picture; 1 is shut. `brow` raises, `squint` narrows, `breath` is
    how full the chest is; all within 0…1.
    """

    yaw: float
    pitch: float
    roll: float
    shift_x: float
    shift_y: float
    blink_left: float
    blink_right: float
    gaze_x: float
    gaze_y: float
    brow: float
    squint: float
    breath: float


class HeadPoseGenerator:
    """The motion of one head. `step` is called once for each frame, in order."""

    def __init__(self, fps: Fraction, seed: int, amount: float = 1.0) -> None:
        """`amount` scales everything but the blinks; 0 is a head that only blinks."""
        self._fps = fps
        self._amount = amount
        self._simulation = _HeadSimulation(seed)
        self._frame_count = 0
        self._tick_count = 0
        self._previous_values = self._current_values = (0.0,) * len(fields(HeadPose))

    def next_pose(self, energy: float, pitch: float, emphasis: float, speaking: float) -> HeadPose:
        """The pose at the start of the next frame, given the speech during it.

        Args:
            energy: loudness, 0…1.
            pitch: semitones above the voice's own middle.
            emphasis: stress, 0…1.
            speaking: how sure it is that there is speech, 0…1.
        """
        time = Fraction(self._frame_count * TICKS_PER_SECOND) / self._fps
        voice = VoiceCues(energy=energy, pitch=pitch, emphasis=emphasis, speaking=speaking)
        while self._tick_count < time:
            self._previous_values, self._current_values = (
                self._current_values,
                self._simulation.next_pose_values(voice, self._amount),
            )
            self._tick_count += 1
        self._frame_count += 1
        share = float(1 - (self._tick_count - time))
        return HeadPose(
            *(a + share * (b - a) for a, b in zip(self._previous_values, self._current_values, strict=True))
        )


class _HeadSimulation:
    """All processes of one head, a tick at a time. Each has its own random numbers: none disturbs another."""

    def __init__(self, seed: int) -> None:
        self._phrase = PhraseTracker()
        self._head = HeadMotionProcess(seed)
        self._gaze = GazeProcess(Random(f"{seed} gaze"))
        self._blinks = BlinkProcess(Random(f"{seed} blinks"))
        self._breath = BreathProcess(Random(f"{seed} breath"))
        self._squint = DampedSpring(0.4)

    def next_pose_values(self, voice: VoiceCues, amount: float) -> tuple[float, ...]:
        """The numbers of the next `HeadPose`, in its order."""
        self._phrase.update_phrase(voice.speaking)
        breath = amount * self._breath.next_fullness(self._phrase)
        yaw, pitch, roll, aside, down, brow = (
            amount * part for part in self._head.next_motion(voice, self._phrase)
        )
        yaw, pitch, roll = (
            limit_angle(yaw),
            limit_angle(pitch - 0.2 * RADIANS_PER_DEGREE * breath),
            limit_angle(roll),
        )
        look_x, look_y, jump = self._gaze.next_direction(self._phrase)
        lids = self._blinks.next_closures(voice.speaking, blink_probability(self._phrase, jump))
        gaze = (amount * look_x - yaw, amount * look_y - pitch)
        squint = amount * 0.5 * self._squint.step_towards(voice.emphasis)
        shift = (aside, down - 0.003 * breath)
        return (yaw, pitch, roll, *shift, *lids, *gaze, *(min(part, 1.0) for part in (brow, squint, breath)))

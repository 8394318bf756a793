"""The motion of a head besides articulation: sway, nods, gaze, blinks and breathing.

Everything is simulated at 100 ticks a second and read at the times of the frames: the same seed and the same speech
give the same motion at every frame rate. Memory is constant. Each process has a module of its own: `posture`, `gaze`,
`blinks`, `breath`; they are built from `signals` and follow the `speech_cues`.
"""

from dataclasses import dataclass, fields
from fractions import Fraction
from random import Random

from liveavatar.mesh.motion.blinks import BlinkProcess, blink_probability
from liveavatar.mesh.motion.breath import BreathProcess
from liveavatar.mesh.motion.facial_play import FacialPlayProcess
from liveavatar.mesh.motion.gaze import GazeProcess
from liveavatar.mesh.motion.posture import MAX_ANGLE_RADIANS, MAX_SHIFT, HeadMotionProcess, limit_smoothly
from liveavatar.mesh.motion.signals import RADIANS_PER_DEGREE, TICKS_PER_SECOND, DampedSpring
from liveavatar.mesh.motion.speech_cues import PhraseTracker, VoiceCues
from liveavatar.timeline import Timeline

SQUINT_HERTZ, SQUINT_GAIN = 0.4, 0.5
"""Smoothing of emphasis, and gain of it in the squint of the eyes."""
LOWEST_PLAY = -0.5
"""How far brows are lowered and corners of the mouth drawn together at most, relative to the other direction."""
BREATH_PITCH_DEGREES, BREATH_RISE = 0.2, 0.003
"""Pitch of the head back, and its rise in interocular units, with a full breath."""


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Pose of the head, and state of eyes, brows and chest. All zeros reproduce the portrait.

    Angles are in radians: `yaw` to the right of the picture, `pitch` down, `roll` clockwise; gaze likewise, relative
    to the head. Shifts go right and down, in interocular units. `blink_left` closes the subject's left eye, on the
    right of the picture; 1 is closed. `brow` raises the brows, `corners` draws the corners of the mouth apart and up;
    both go down to LOWEST_PLAY the other way. `squint` narrows the eyes, `breath` is the fullness of the chest: 0…1.
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
    corners: float
    breath: float


RESTING_POSE = HeadPose(**dict.fromkeys((field.name for field in fields(HeadPose)), 0.0))
"""The pose of the portrait itself."""


class HeadPoseGenerator:
    """The motion of one head; `next_pose` is called once for each frame, in order."""

    def __init__(self, fps: Fraction, seed: int, amount: float = 1.0, gaze: str = "natural") -> None:
        """`amount`, 0…2, scales everything but the blinks; `gaze` is one of `gaze.GAZE_STYLES`."""
        self._timeline = Timeline(fps=fps)
        self._amount = amount
        self._simulation = _HeadSimulation(seed, gaze)
        self._frame_count = 0
        self._tick_count = 0
        self._previous_values = self._current_values = (0.0,) * len(fields(HeadPose))

    def next_pose(self, energy: float, pitch: float, emphasis: float, speaking: float) -> HeadPose:
        """The pose at the start of the next frame, given the speech during it.

        Args:
            energy: loudness, 0…1.
            pitch: semitones above the running median of the speaker.
            emphasis: stress, 0…1.
            speaking: probability of speech, 0…1.
        """
        time = self._timeline.frame_time(self._frame_count) * TICKS_PER_SECOND
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
    """All processes of one head. Each has random numbers of its own, so a change to one does not affect the others."""

    def __init__(self, seed: int, gaze: str) -> None:
        self._phrase = PhraseTracker()
        self._head = HeadMotionProcess(seed)
        self._gaze = GazeProcess(Random(f"{seed} gaze"), gaze)
        self._blinks = BlinkProcess(Random(f"{seed} blinks"))
        self._breath = BreathProcess(Random(f"{seed} breath"))
        self._squint = DampedSpring(SQUINT_HERTZ)
        self._play = FacialPlayProcess(seed)

    def next_pose_values(self, voice: VoiceCues, amount: float) -> tuple[float, ...]:
        """The values of `HeadPose` one tick later, in the order of its fields."""
        self._phrase.update_phrase(voice.speaking)
        breath = amount * self._breath.next_fullness(self._phrase)
        motion = self._head.next_motion(voice, self._phrase)
        yaw, pitch, roll, right, down, beat = (amount * value for value in motion)
        brow, corners = (amount * value for value in self._play.next_play(voice))
        pitch -= BREATH_PITCH_DEGREES * RADIANS_PER_DEGREE * breath
        yaw, pitch, roll = (limit_smoothly(angle, MAX_ANGLE_RADIANS) for angle in (yaw, pitch, roll))
        look_x, look_y, saccade_size = self._gaze.next_direction(self._phrase)
        blink = self._blinks.next_closures(voice.speaking, blink_probability(self._phrase, saccade_size))
        gaze = (amount * look_x - yaw, amount * look_y - pitch)  # the eyes turn against the head
        squint = amount * SQUINT_GAIN * self._squint.step_towards(voice.emphasis)
        shift = (limit_smoothly(value, MAX_SHIFT) for value in (right, down - BREATH_RISE * breath))
        return (
            yaw,
            pitch,
            roll,
            *shift,
            *blink,
            *gaze,
            *(min(max(value, LOWEST_PLAY), 1.0) for value in (brow + beat, squint, corners)),
            min(breath, 1.0),
        )

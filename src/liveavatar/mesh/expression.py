"""From what speech does to what the face shows: articulation and motion become weights of the face's shapes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.rig import fit_rig_pose, load_rig, mouth_shut_shape, project_shapes
from liveavatar.mesh.motion.head_pose import HeadPose
from liveavatar.mesh.render.face_renderer import FrameExpression
from liveavatar.speech.track import CONTROLS, VISEMES, SpeechTrack

_SIDES = ("Left", "Right")

SHAPE_TO_ARKIT: dict[str, dict[str, float]] = {
    "jaw": {"jawOpen": 0.40, "mouthLowerDown": 0.10},
    "seal": {"mouthClose": 0.40, "mouthLowerDown": -0.10},
    "press": {"mouthRollLower": 0.05, "mouthRollUpper": 0.04, "mouthPress": 0.04},
    "part": {"mouthLowerDown": 0.25, "mouthUpperUp": 0.12},
    "round": {"mouthPucker": 0.58, "mouthFunnel": 0.12},
    "funnel": {"mouthFunnel": 0.19},
    "spread": {"mouthSmile": 0.10, "mouthStretch": 0.30, "mouthLowerDown": 0.12},
    "upper_lip": {"mouthUpperUp": 0.38},
    "bite": {"mouthRollLower": 0.75, "mouthUpperUp": 0.16},
    "brow": {"browInnerUp": 0.35, "browOuterUp": 0.25},
    "squint": {"eyeSquint": 0.5, "cheekSquint": 0.3},
}
"""Each of our shapes as a sum of the rig's ARKit shapes; pairs are named without their side."""

_TURN_DEGREES_TO_STRENGTH = (15.0, 40.0), (1.0, 0.5)
"""Degrees of a head's own turn, and the share of every shape that is left there."""

_SMILE_ROUNDING_SHARE = 0.72
"""Share of the rounding that is left to lips which the portrait parts."""

_VOWEL_REOPENING_SHARE = 0.5
"""How much of the portrait's own parting of the lips comes back in an open vowel, and with it its own teeth."""

_CLOSURE_JAW_SHARE = 0.35
"""Of the jaw's opening, what stays when the lips close over it: m, b and p are made by the lips, not by the teeth."""

_CLOSURE_SPREAD_LOSS = 0.5
"""Of the lips' spread, what a closure takes back: the muscle that shuts them is a ring around them."""

_CONTROL_GAINS = {"jaw": 1.5, "rounding": 1.42, "spread": 1.31, "upper_lip": 1.4}
_CONTROL_FLOOR = 0.05
"""A network that minimises its mean error is timid: what it is unsure of it pulls to the middle. These factors give the
controls back the range that speech has."""


def build_face_shapes(landmarks: Landmarks) -> Array:
    """Displacements in pixels of the portrait's landmarks [len(SHAPES) + 1, 478, 2]; the last shuts its own mouth.

    A head turned far aside has few pixels on its far side, which tear before those on the near side do: so all of the
    face moves less there. Lips that the portrait parts are drawn out, mostly by a smile, and round less.
    """
    rig, pose = load_rig(), fit_rig_pose(landmarks)
    moves = project_shapes(landmarks, rig, pose)

    def sum_sides(name: str) -> Array:
        sides = [name] if name in rig.names else [name + side for side in _SIDES]
        return as_float32(sum(moves[rig.shape_index(side)] for side in sides))

    aside = abs(float(np.degrees(np.arctan2(pose.rotation[0, 2], pose.rotation[2, 2]))))
    share = float(np.interp(aside, *_TURN_DEGREES_TO_STRENGTH))
    rows = {
        key: share * sum(weight * sum_sides(name) for name, weight in parts.items())
        for key, parts in SHAPE_TO_ARKIT.items()
    }
    shut = mouth_shut_shape(landmarks, pose)
    if shut.any():
        rows["round"], rows["funnel"] = (
            _SMILE_ROUNDING_SHARE * rows["round"],
            _SMILE_ROUNDING_SHARE * rows["funnel"],
        )
    return as_float32(np.stack([*rows.values(), shut]))


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthArticulation:
    """The mouth during one frame: the six CONTROLS of speech, and how likely the lower lip is on the teeth."""

    jaw: float
    closure: float
    rounding: float
    spread: float
    upper_lip: float
    tongue: float
    bite: float

    @classmethod
    def from_speech(cls, speech: SpeechTrack) -> "MouthArticulation":
        """One frame's worth of steps. Means, except the closure, which must not be averaged away."""
        mean: NDArray[np.float32] = speech.controls.mean(0)
        values = {name: _expand_control(name, float(mean[index])) for index, name in enumerate(CONTROLS)}
        values["closure"] = float(speech.controls[:, CONTROLS.index("closure")].max())
        return cls(**values, bite=float(speech.visemes[:, VISEMES.index("FF")].mean()))

    def scale_except_closure(self, amount: float) -> "MouthArticulation":
        """Everything but the closures scaled: a mumbler's lips still meet."""
        values = {
            name: amount * getattr(self, name)
            for name in ("jaw", "rounding", "spread", "upper_lip", "tongue")
        }
        return replace(self, **values)

    def shape_weights(self) -> dict[str, float]:
        """Weights of the mouth's SHAPES, and of the one that shuts the portrait's own."""
        free = 1 - self.closure
        opening = self.jaw * (free + _CLOSURE_JAW_SHARE * self.closure)
        bite = self.bite * free
        return {
            "jaw": opening * (1 - 0.6 * bite),
            "seal": opening * self.closure,
            "press": self.closure,
            "part": min(1.0, 2.5 * self.jaw + self.spread) * free * (1 - bite) * 0.6,
            "round": self.rounding * (1 - 0.4 * self.jaw),
            "funnel": self.rounding * free * min(1.0, 0.1 + 1.2 * self.jaw),
            "spread": self.spread * (1 - self.rounding) * (1 - _CLOSURE_SPREAD_LOSS * self.closure),
            "upper_lip": self.upper_lip * free,
            "bite": bite,
            "shut": 1 - _VOWEL_REOPENING_SHARE * min(1.0, 2.5 * self.jaw) * free * (1 - bite),
        }


RESTING_ARTICULATION = MouthArticulation(
    jaw=0, closure=0, rounding=0, spread=0, upper_lip=0, tongue=0, bite=0
)
"""The mouth of one who says nothing."""


def _expand_control(name: str, value: float) -> float:
    return (
        min(1.0, max(0.0, _CONTROL_GAINS[name] * (value - _CONTROL_FLOOR)))
        if name in _CONTROL_GAINS
        else value
    )


_BLINK_LIMIT_JAW, _BLINK_LIMIT_GAIN = 0.4, 0.65
"""From this opening of the jaw on, and how much, it keeps a blink from shutting the eyes: a wide mouth and shut eyes
at once are furthest from the face one knows."""


def build_expression(articulation: MouthArticulation, pose: HeadPose) -> FrameExpression:
    """The frame's expression."""
    lids = 1 - _BLINK_LIMIT_GAIN * max(0.0, articulation.jaw - _BLINK_LIMIT_JAW)
    weights = articulation.shape_weights() | {"brow": pose.brow, "squint": pose.squint}
    return FrameExpression(
        shapes=as_float32([*(weights[name] for name in SHAPE_TO_ARKIT), weights["shut"]]),
        head=as_float32([pose.yaw, pose.pitch, pose.roll, pose.shift_x, pose.shift_y, pose.breath]),
        blink=(lids * pose.blink_right, lids * pose.blink_left),
        gaze=(pose.gaze_x, pose.gaze_y),
        jaw=JAW_TRAVEL * weights["jaw"],
        tongue=articulation.tongue,
    )


JAW_TRAVEL = 0.133
"""How far the lower teeth go down with the shape "jaw" at 1, interocular units."""

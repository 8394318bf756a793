"""Weights of the face's shapes, from the articulation of speech and the motion of the head.

Constants without a source were chosen by eye on the portraits listed in `docs/mesh.md`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.rig import fit_rig_pose, load_rig, project_shapes
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
"""Each shape as a weighted sum of the rig's ARKit shapes; shapes of both sides are named without Left and Right.

Weights: how far lips and jaw of people go in speech, limited by the identity bound of `benchmarks/mesh/faces.py`.
"""

_TURN_DEGREES_TO_STRENGTH = (15.0, 40.0), (1.0, 0.5)
"""Turn of the portrait's head in degrees, and strength of all shapes: the far side of a face has few pixels."""

_REVEAL_SHARE = 0.7
"""Share of the way to its place in the picture that the upper lip of a portrait with parted lips goes in vowels."""

_CLOSURE_JAW_SHARE = 0.35
"""Share of the jaw's opening that remains in a closure: lips make m, b and p, not the jaw."""

_CLOSURE_SPREAD_LOSS = 0.5
"""Share of the lips' spread that a closure takes back: the muscle that closes them is a ring (orbicularis oris)."""

_CONTROL_GAINS = {"jaw": 1.5, "rounding": 1.42, "spread": 1.31, "upper_lip": 1.4}
_CONTROL_FLOOR = 0.05
"""Gain on the controls of speech, and the value up to which they count as zero. A network that minimises its mean error
tends to the mean where it is unsure; gain and floor restore the range of speech."""

_PART_WEIGHT, _PART_JAW_GAIN = 0.6, 2.5
"""Weight of lips that part without the jaw, and gain of the jaw in it: they part early in an opening."""
_BITE_JAW_LOSS = 0.6
"""Share of the jaw's opening that the lower lip on the teeth takes back."""
_ROUNDING_JAW_LOSS = 0.4
"""Share of the rounding that a wide jaw takes back."""
_FUNNEL_FLOOR, _FUNNEL_JAW_GAIN = 0.1, 1.2
"""Weight of the funnel in closed rounded lips, and its growth with the jaw."""

JAW_TRAVEL = 0.133
"""Way of the lower teeth down under the shape "jaw" at 1, interocular units."""


def build_face_shapes(landmarks: Landmarks, reveal: Array) -> Array:
    """Displacements of a portrait's landmarks under the shapes of SHAPE_TO_ARKIT, in pixels, [k + 1, 478, 2].

    The last one is `reveal` [478, 2]: the upper lip as high as in the picture.
    """
    rig, pose = load_rig(), fit_rig_pose(landmarks)
    moves = project_shapes(landmarks, rig, pose)

    def sum_sides(name: str) -> Array:
        sides = [name] if name in rig.names else [name + side for side in _SIDES]
        return as_float32(sum(moves[rig.shape_index(side)] for side in sides))

    turn = abs(float(np.degrees(np.arctan2(pose.rotation[0, 2], pose.rotation[2, 2]))))
    strength = float(np.interp(turn, *_TURN_DEGREES_TO_STRENGTH))
    rows = {
        key: strength * sum(weight * sum_sides(name) for name, weight in parts.items())
        for key, parts in SHAPE_TO_ARKIT.items()
    }
    return as_float32(np.stack([*rows.values(), reveal]))


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthArticulation:
    """The mouth in one frame: the six CONTROLS of speech, and `bite`, the probability of the lower lip on the teeth."""

    jaw: float
    closure: float
    rounding: float
    spread: float
    upper_lip: float
    tongue: float
    bite: float

    @classmethod
    def from_speech(cls, speech: SpeechTrack) -> "MouthArticulation":
        """The articulation over the steps of one frame: the mean of each control, but the maximum of the closure."""
        mean: NDArray[np.float32] = speech.controls.mean(0)
        values = {name: _expand_control(name, float(mean[index])) for index, name in enumerate(CONTROLS)}
        values["closure"] = float(speech.controls[:, CONTROLS.index("closure")].max())
        return cls(**values, bite=float(speech.visemes[:, VISEMES.index("FF")].mean()))

    def scale_except_closure(self, amount: float) -> "MouthArticulation":
        """All controls but closure and bite scaled by `amount`: closures stay complete."""
        values = {
            name: amount * getattr(self, name)
            for name in ("jaw", "rounding", "spread", "upper_lip", "tongue")
        }
        return replace(self, **values)

    def shape_weights(self) -> dict[str, float]:
        """Weights of the mouth's shapes, and "reveal", that of the upper lip as high as in the picture."""
        free = 1 - self.closure
        opening = self.jaw * (free + _CLOSURE_JAW_SHARE * self.closure)
        bite = self.bite * free
        return {
            "jaw": opening * (1 - _BITE_JAW_LOSS * bite),
            "seal": opening * self.closure,
            "press": self.closure,
            "part": min(1.0, _PART_JAW_GAIN * self.jaw + self.spread) * free * (1 - bite) * _PART_WEIGHT,
            "round": self.rounding * (1 - _ROUNDING_JAW_LOSS * self.jaw),
            "funnel": self.rounding * free * min(1.0, _FUNNEL_FLOOR + _FUNNEL_JAW_GAIN * self.jaw),
            "spread": self.spread * (1 - self.rounding) * (1 - _CLOSURE_SPREAD_LOSS * self.closure),
            "upper_lip": self.upper_lip * free,
            "bite": bite,
            "reveal": _REVEAL_SHARE
            * min(1.0, _PART_JAW_GAIN * self.jaw + self.spread)
            * free
            * (1 - bite)
            * (1 - self.rounding),
        }


RESTING_ARTICULATION = MouthArticulation(
    jaw=0, closure=0, rounding=0, spread=0, upper_lip=0, tongue=0, bite=0
)
"""The mouth of a person who is silent."""


def _expand_control(name: str, value: float) -> float:
    if name not in _CONTROL_GAINS:
        return value
    return min(1.0, max(0.0, _CONTROL_GAINS[name] * (value - _CONTROL_FLOOR)))


def build_expression(articulation: MouthArticulation, pose: HeadPose) -> FrameExpression:
    """The expression of one frame, from its articulation and its head pose."""
    weights = articulation.shape_weights() | {"brow": pose.brow, "squint": pose.squint}
    return FrameExpression(
        shapes=as_float32([*(weights[name] for name in SHAPE_TO_ARKIT), weights["reveal"]]),
        head=as_float32([pose.yaw, pose.pitch, pose.roll, pose.shift_x, pose.shift_y, pose.breath]),
        blink=(pose.blink_right, pose.blink_left),
        gaze=(pose.gaze_x, pose.gaze_y),
        jaw=JAW_TRAVEL * weights["jaw"],
        tongue=articulation.tongue,
    )

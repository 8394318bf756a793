"""Weights of the face's shapes, from the articulation of speech and the motion of the head.

Constants without a source were chosen by eye on the portraits listed in `docs/mesh.md`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.emotions import NEUTRAL, EmotionWeights
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.face_landmarks import INNER_LOWER_LIP, INNER_UPPER_LIP, LOWER_LIP, UPPER_LIP
from liveavatar.mesh.geometry.rig import fit_rig_pose, load_rig, project_shapes
from liveavatar.mesh.motion.head_pose import HeadPose
from liveavatar.mesh.render.face_renderer import FrameExpression
from liveavatar.speech.track import CONTROLS, VISEMES, SpeechTrack

_SIDES = ("Left", "Right")

SHAPE_TO_ARKIT: dict[str, dict[str, float]] = {
    "jaw": {"jawOpen": 0.43, "mouthLowerDown": 0.10, "mouthStretch": 0.16},
    "seal": {"mouthClose": 0.43, "mouthLowerDown": -0.10},
    "press": {
        "mouthRollLower": 0.05,
        "mouthRollUpper": 0.06,
        "mouthShrugUpper": -0.25,
        "mouthLowerDown": 0.25,
        "mouthPucker": 0.25,
    },
    "part": {"mouthLowerDown": 0.25, "mouthUpperUp": 0.30},
    "round": {"mouthPucker": 0.85, "mouthFunnel": 0.18},
    "funnel": {"mouthFunnel": 0.22},
    "spread": {"mouthSmile": 0.22, "mouthStretch": 0.66, "mouthLowerDown": 0.12, "cheekSquint": 0.15},
    "upper_lip": {"mouthUpperUp": 0.55},
    "bite": {"mouthUpperUp": 0.46, "mouthRollLower": 0.30, "mouthLowerDown": 0.25},
    "smile": {"mouthSmile": 0.50, "mouthDimple": 0.10, "cheekSquint": 0.10},
    "corners": {"mouthDimple": 0.50, "mouthSmile": 0.12, "cheekSquint": 0.15},
    "frown": {"mouthFrown": 0.60},
    "brow": {"browInnerUp": 1.0, "browOuterUp": 0.75},
    "brow_inner": {"browInnerUp": 1.5},
    "brow_down": {"browDown": 0.60},
    "wide": {"eyeWide": 0.60},
    "squint": {"eyeSquint": 0.5, "cheekSquint": 0.15},
    "cheek": {"cheekSquint": 0.40},
}
"""Each shape as a weighted sum of the rig's ARKit shapes; shapes of both sides are named without Left and Right.

Weights: how far face and jaw of a filmed speaker go (`benchmarks/mesh/faces.py`), within what his own frames reach in
the identity measure there.
"""

_BROW_PREFIXES = ("brow", "cheekSquint")
"""Shapes of the rig that glasses limit: they move the skin behind a frame."""

SEALED_SHAPES = ("smile", "corners", "frown")
"""Shapes that move both lips alike, so that lips that meet go on to meet."""

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
_CLOSURE_SMILE_LOSS, _ROUNDING_SMILE_LOSS = 0.3, 0.5
"""Shares of a smile or a frown that a closure, or the lip on the teeth, and rounded lips take back."""
_SMILE_LIP_RISE = 0.25
"""Weight of the upper lip that a whole smile raises in an open mouth."""
_JAW_LIP_RISE, _ROUNDING_LIP_LOSS = 0.8, 0.7
"""Rise of the upper lip with the jaw, and share of it, and of the parting, that rounded lips take back: they cover the
teeth."""
_BITE_JAW_LOSS, _BITE_LIP_LOSS = 0.6, 0.7
"""Shares of the jaw's opening, and of the rise of the upper lip, that the lower lip on the teeth takes back."""
_ROUNDING_JAW_LOSS = 0.4
"""Share of the rounding that a wide jaw takes back."""
_FUNNEL_FLOOR, _FUNNEL_JAW_GAIN = 0.1, 1.2
"""Weight of the funnel in closed rounded lips, and its growth with the jaw."""

JAW_TRAVEL = 0.143
"""Way of the lower teeth down under the shape "jaw" at 1, interocular units."""


def build_face_shapes(landmarks: Landmarks, reveal: Array, brow_share: float = 1.0) -> Array:
    """Displacements of a portrait's landmarks under the shapes of SHAPE_TO_ARKIT, in pixels, [k + 1, 478, 2].

    The last one is `reveal` [478, 2]: the upper lip as high as in the picture. Brows and cheeks go `brow_share` of
    their way.
    """
    rig, pose = load_rig(), fit_rig_pose(landmarks)
    moves = project_shapes(landmarks, rig, pose)

    turn = abs(float(np.degrees(np.arctan2(pose.rotation[0, 2], pose.rotation[2, 2]))))
    strength = float(np.interp(turn, *_TURN_DEGREES_TO_STRENGTH))
    shares = {name: strength * (brow_share if name.startswith(_BROW_PREFIXES) else 1.0) for name in rig.names}

    def sum_sides(name: str) -> Array:
        sides = [name] if name in rig.names else [name + side for side in _SIDES]
        return as_float32(sum(shares[side] * moves[rig.shape_index(side)] for side in sides))

    rows = {
        key: as_float32(sum(weight * sum_sides(name) for name, weight in parts.items()))
        for key, parts in SHAPE_TO_ARKIT.items()
    }
    for key in SEALED_SHAPES:
        rows[key] = _seal_lips(rows[key])
    return as_float32(np.stack([*rows.values(), reveal]))


def _seal_lips(shape: Array) -> Array:
    """`shape` [478, 2] with both inner lips moved by the mean of their displacements; each lip follows as a whole."""
    sealed = shape.copy()
    inner = [shape[list(row)] for row in (INNER_UPPER_LIP, INNER_LOWER_LIP)]
    middle = (inner[0] + inner[1]) / 2
    for lip, own in zip((UPPER_LIP, LOWER_LIP), inner, strict=True):
        correction = (middle - own)[1:-1]  # one for each of the nine columns of a lip; none at the corners
        sealed[list(lip)] += np.tile(correction, (len(lip) // len(correction), 1))
    return sealed


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
        unrounded = 1 - _ROUNDING_LIP_LOSS * self.rounding
        lifted = self.upper_lip + _JAW_LIP_RISE * self.jaw * unrounded
        return {
            "jaw": opening * (1 - _BITE_JAW_LOSS * bite),
            "seal": opening * (self.closure + (1 - _BITE_JAW_LOSS) * bite),
            "press": self.closure**2,  # lips that nearly meet do not press yet
            "part": min(1.0, _PART_JAW_GAIN * self.jaw + self.spread)
            * free
            * (1 - bite)
            * unrounded
            * _PART_WEIGHT,
            "round": self.rounding * (1 - _ROUNDING_JAW_LOSS * self.jaw),
            "funnel": self.rounding * free * min(1.0, _FUNNEL_FLOOR + _FUNNEL_JAW_GAIN * self.jaw),
            "spread": self.spread * (1 - self.rounding) * (1 - _CLOSURE_SPREAD_LOSS * self.closure),
            "upper_lip": lifted * free * (1 - _BITE_LIP_LOSS * bite),
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


def build_expression(
    articulation: MouthArticulation, pose: HeadPose, emotion: EmotionWeights = NEUTRAL
) -> FrameExpression:
    """The expression of one frame, from its articulation, its head pose and its emotion."""
    weights = articulation.shape_weights()
    for name, value in _face_weights(articulation, pose, emotion).items():
        weights[name] = weights.get(name, 0.0) + value
    return FrameExpression(
        shapes=as_float32([weights[name] for name in (*SHAPE_TO_ARKIT, "reveal")]),
        head=as_float32([pose.yaw, pose.pitch, pose.roll, pose.shift_x, pose.shift_y, pose.breath]),
        blink=(pose.blink_right, pose.blink_left),
        gaze=(pose.gaze_x, pose.gaze_y),
        jaw=JAW_TRAVEL * weights["jaw"],
        tongue=articulation.tongue,
    )


def _face_weights(
    articulation: MouthArticulation, pose: HeadPose, emotion: EmotionWeights
) -> dict[str, float]:
    """Weights of what the head's motion and the emotion add to the mouth's shapes: the mouth has its say in them."""
    own = {"brow": pose.brow, "squint": pose.squint, "corners": pose.corners}
    names = ("smile", "corners", "frown", "brow", "brow_inner", "brow_down", "wide", "squint", "cheek")
    weights = {name: own.get(name, 0.0) + emotion.get(name, 0.0) for name in names}
    free = (1 - _CLOSURE_SMILE_LOSS * max(articulation.closure, articulation.bite)) * (
        1 - _ROUNDING_SMILE_LOSS * articulation.rounding
    )
    weights |= {name: free * weights[name] for name in SEALED_SHAPES}
    opened = min(1.0, _PART_JAW_GAIN * articulation.jaw) * (1 - articulation.closure)
    weights["upper_lip"] = _SMILE_LIP_RISE * weights["smile"] * opened
    return weights

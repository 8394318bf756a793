"""How each landmark moves under each face shape, and how that looks on one particular face.

The rig is a table measured on a CC0 head (`assets/README.md`): rest positions of the 478 landmarks and their
displacement under the ARKit face shapes. It is laid over a portrait by a similarity transform of the points
that speech does not move, then stretched to the face's own mouth, lips, jaw and eyes.

Axes are those of `Landmarks`: x right, y down, z away from the camera. The rig's unit is the distance of the
outer eye corners; its origin lies between them. Shapes named Left are on the subject's left: the right of the
picture.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.face.procrustes import fit_similarity
from liveavatar.mesh.geometry.face_landmarks import (
    CHIN_LANDMARK,
    EYE_LANDMARKS,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    LOWER_LIP,
    UPPER_LIP,
    EyeLandmarks,
    interocular_distance,
)
from liveavatar.mesh.geometry.warp_field import Array, as_float32

NOSE_BASE_LANDMARK = 2
_FACE_POINT_COUNT = 468
"""Points of the face; those of the irises follow."""
OUTER_MOUTH_CORNERS = (61, 291)
RIGID_LANDMARK_WEIGHTS = {
    3.0: (33, 133, 362, 263, 168, 6, 197, 195, 8, 9),
    1.0: (5, 4, 151, 10, 67, 297, 109, 338, 103, 332, 54, 284, 21, 251, 162, 389, 127, 356, 234, 454, 116,
          345, 117, 346, 118, 347, 50, 280, 123, 352, 93, 323),
}  # fmt: skip
"""Weights of the landmarks that stay with the skull: eye corners, nose bridge; brow, temples, cheekbones."""

UPPER_LIP_SHARE, UPPER_LIP_MAX_DROP, JAW_MAX_RISE = 0.25, 0.03, 0.4
"""How much of an open mouth the upper lip closes, and how far it comes down unless the jaw, which brings the rest,
cannot come up so far; both in interocular units."""
LOWER_LID_SHARE = 0.1
"""How much of an open eye the lower lid closes."""
MAX_SHUT_GAP, MIN_OPEN_GAP = 0.008, 0.02
"""Gaps of the inner lips, relative to the mouth's width: shut below the first, open above the second."""
_DEPTH_SCALES = tuple(float(scale) for scale in np.arange(0.8, 1.41, 0.05))
"""Factors tried on the landmarks' depth, whose unit the landmark network leaves open."""
STRETCH_LIMITS = (0.65, 1.6)
"""Limits of a face's proportions relative to the rig's: beyond them the landmarks are probably wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerMouth:
    """What lies behind the lips, relative to landmark 13 of a closed mouth, in rig axes and unit.

    `upper_teeth`, `lower_teeth` [17, 3] are the biting edges, molars to molars, left to right in the picture;
    `tongue` [2, 3] is its tip and its crest. `_open` arrays tell how far jawOpen at 1 moves them.
    """

    upper_teeth: Array
    lower_teeth: Array
    lower_teeth_open: Array
    tongue: Array
    tongue_open: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRig:
    """`neutral` [478, 3]; `deltas` [K, 478, 3] of the shapes in `names`; `mirror`: landmarks' partners."""

    names: tuple[str, ...]
    neutral: Array
    deltas: Array
    mirror: NDArray[np.int16]
    mouth: InnerMouth

    def shape_index(self, name: str) -> int:
        """Row of a shape in `deltas`. Raises ValueError for a name that is not there."""
        return self.names.index(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RigPose:
    """`landmarks·(1, 1, depth) ≈ translation + scale · rotation @ rig`; `scale` is pixels per rig unit."""

    rotation: Array
    scale: float
    translation: Array
    depth: float

    def to_head(self, landmarks: Landmarks) -> Array:
        """Landmarks [478, 3] in pixels as the rig sees them: upright, in its unit."""
        flat = (landmarks * (1, 1, self.depth) - self.translation) @ self.rotation / self.scale
        return flat.astype(np.float32)

    def to_picture(self, offsets: Array) -> Array:
        """Offsets [..., 3] in rig axes and unit as offsets [..., 2] in pixels."""
        return (offsets @ self.rotation[:2].T * self.scale).astype(np.float32)


@cache
def load_rig() -> FaceRig:
    """The rig that comes with the package."""
    asset = files("liveavatar.mesh") / "assets" / "rig.npz"
    with asset.open("rb") as stream, np.load(stream, allow_pickle=False) as table:
        mouth = InnerMouth(**{name: table[name] for name in InnerMouth.__dataclass_fields__})
        deltas = table["deltas"] * table["step"]
        names = tuple(str(name) for name in table["names"])
        return FaceRig(
            names=names, neutral=table["neutral"], deltas=deltas, mirror=table["mirror"], mouth=mouth
        )


def fit_rig_pose(landmarks: Landmarks) -> RigPose:
    """Turn, size and place of a head from its landmarks [478, 3]: weighted Procrustes on the skull's points.

    The landmark net's depth has a scale of its own, so the depth scale that fits best is taken.
    """
    weights = np.zeros(len(landmarks))
    for weight, points in RIGID_LANDMARK_WEIGHTS.items():
        weights[list(points)] = weight
    neutral = load_rig().neutral.astype(float)
    fits = [fit_similarity(neutral, landmarks * (1, 1, depth), weights) for depth in _DEPTH_SCALES]
    best = int(np.argmin([fit.error for fit in fits]))
    fit = fits[best]
    return RigPose(
        rotation=as_float32(fit.rotation),
        scale=fit.scale,
        translation=as_float32(fit.translation),
        depth=_DEPTH_SCALES[best],
    )


def rig_misfit(landmarks: Landmarks, pose: RigPose) -> float:
    """How unlike the rig's head a face is, seen from the front: root mean square over all points of the face, in the
    rig's unit. People have 0.03 to 0.06, more when they laugh; drawn creatures up to 0.2."""
    away = (pose.to_head(landmarks) - load_rig().neutral)[:_FACE_POINT_COUNT, :2]
    return float(np.sqrt(np.mean(np.sum(away**2, axis=1))))


def project_shapes(landmarks: Landmarks, rig: FaceRig, pose: RigPose) -> Array:
    """Displacement in pixels of each landmark for each shape at 1, [K, 478, 2], on this face.

    Mouth and jaw shapes follow the face's own mouth width, lip height and jaw length. eyeBlink closes its
    eyes exactly: the points of both lids meet just above where the lower lid was.
    """
    head = pose.to_head(landmarks)
    stretch = np.stack([_shape_stretch(name, head, rig.neutral) for name in rig.names])
    moves = pose.to_picture(rig.deltas * stretch[:, None])
    for name, eye in (("eyeBlinkRight", EYE_LANDMARKS[0]), ("eyeBlinkLeft", EYE_LANDMARKS[1])):
        _close_eye(moves[rig.shape_index(name)], eye, landmarks)
    return moves


def _shape_stretch(name: str, head: Array, neutral: Array) -> Array:
    """Scale of a shape along x, y, z: this head's proportions relative to the rig's, where the shape acts."""

    def length_ratio(*pairs: tuple[int, int]) -> float:
        own, rig = (sum(np.linalg.norm(face[b] - face[a]) for a, b in pairs) for face in (head, neutral))
        return float(np.clip(own / rig, *STRETCH_LIMITS))

    if name.startswith("eye"):
        side = EYE_LANDMARKS[1] if name.endswith("Left") else EYE_LANDMARKS[0]
        height = length_ratio(*zip(side.upper[2:7], side.lower[2:7], strict=True))
        return np.array([length_ratio((side.upper[0], side.upper[-1])), height, height], np.float32)
    if not name.startswith(("mouth", "jaw", "cheekPuff")):
        return np.full(3, length_ratio((33, 263)), np.float32)
    height = length_ratio(
        (NOSE_BASE_LANDMARK, 0), (17, CHIN_LANDMARK)
    )  # without the lips, whose gap belongs to the expression
    if name.startswith(("mouthRoll", "mouthPress")):
        height = length_ratio((0, 13), (14, 17))
    return np.array([length_ratio(OUTER_MOUTH_CORNERS), height, height], np.float32)


def _close_eye(move: Array, eye: EyeLandmarks, landmarks: Landmarks) -> None:
    """Set the displacement of one eye's lids, [478, 2], so that they meet; its corners and its iris stay."""
    upper, lower = list(eye.upper[1:-1]), list(eye.lower[1:-1])
    opening = landmarks[upper, :2] - landmarks[lower, :2]
    move[lower] = LOWER_LID_SHARE * opening
    move[upper] = (LOWER_LID_SHARE - 1) * opening
    move[[eye.upper[0], eye.upper[-1], *eye.iris]] = 0


def mouth_shut_shape(landmarks: Landmarks, pose: RigPose) -> Array:
    """Displacement in pixels, [478, 2], that shuts this portrait's own open mouth; zeros if it is shut.

    The lower lip takes three quarters of the way, or more. The lips keep most of their height; the skin follows, down
    to the chin and up to the nose. The corners stay.
    """
    gap = landmarks[list(INNER_LOWER_LIP), :2] - landmarks[list(INNER_UPPER_LIP), :2]
    width = float(
        np.linalg.norm(landmarks[OUTER_MOUTH_CORNERS[1], :2] - landmarks[OUTER_MOUTH_CORNERS[0], :2])
    )
    down = pose.rotation[:2, 1]
    opened = np.clip(gap @ down / (width * float(np.linalg.norm(down))), 0, None)
    ramp = np.clip((opened.max() - MAX_SHUT_GAP) / (MIN_OPEN_GAP - MAX_SHUT_GAP), 0, 1)
    gap *= ramp * ramp * (3 - 2 * ramp) * (opened > 0)[:, None]
    head = pose.to_head(landmarks)
    above = _spread_gap(gap, head, INNER_UPPER_LIP) * _fade_from_lip(
        head, UPPER_LIP[:9], NOSE_BASE_LANDMARK, 0.0
    )
    below = _spread_gap(gap, head, INNER_LOWER_LIP) * _fade_from_lip(head, LOWER_LIP[:9], CHIN_LANDMARK, 0.3)
    share = upper_lip_share(float(np.linalg.norm(gap, axis=1).max()) / interocular_distance(landmarks))
    move = share * above + (share - 1) * below
    for row, kept in enumerate((0.85, 0.9, 0.95, 1.0)):  # from the lips' outer line to the inner one
        move[list(UPPER_LIP[9 * row : 9 * row + 9])] = share * kept * gap[1:-1]
        move[list(LOWER_LIP[9 * row : 9 * row + 9])] = (share - 1) * kept * gap[1:-1]
    return move


def upper_lip_share(gap: float) -> float:
    """How much of a mouth open by `gap` interocular units the upper lip closes: a laugh's is shut by the jaw."""
    return max(min(UPPER_LIP_SHARE, UPPER_LIP_MAX_DROP / max(gap, 1e-6)), 1 - JAW_MAX_RISE / max(gap, 1e-6))


def _spread_gap(gap: Array, head: Array, columns: tuple[int, ...]) -> Array:
    """The gap [11, 2] as each landmark sees it across the face, [478, 2]: none beyond the mouth's corners."""
    place = np.maximum.accumulate(head[list(columns), 0])
    seen = [np.interp(head[:, 0], place, axis, left=0, right=0) for axis in gap.T]
    return np.stack(seen, axis=1).astype(np.float32)


def _fade_from_lip(head: Array, lip: tuple[int, ...], end: int, left: float) -> Array:
    """Share of a lip's movement, [478, 1]: 0.85 at its outer line, `left` from landmark `end`, 0 before."""
    edge = np.interp(head[:, 0], np.maximum.accumulate(head[list(lip), 0]), head[list(lip), 1])
    along = (head[:, 1] - edge) / (head[end, 1] - edge)
    return np.where(along < 0, 0, np.interp(along, (0, 1), (0.85, left)))[:, None].astype(np.float32)

"""The face rig: the displacement of each landmark under each ARKit face shape, fitted to a portrait.

The rig is a table measured on a CC0 head (`assets/README.md`): positions of the 478 landmarks at rest and their
displacements. A similarity transform of the landmarks that speech does not move lays it over a portrait; displacements
are then scaled to the proportions of the portrait's mouth, lips, jaw and eyes.

Axes are those of `Landmarks`: x right, y down, z away from the camera. The rig unit is the distance of the outer eye
corners, the origin lies between them. Shapes named Left are on the subject's left: the right of the picture.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.face.procrustes import fit_similarity
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.face_landmarks import (
    CHIN_LANDMARK,
    EYE_LANDMARKS,
    FACE_POINT_COUNT,
    NOSE_BASE_LANDMARK,
    OUTER_EYE_CORNERS,
    OUTER_MOUTH_CORNERS,
)

RIGID_LANDMARK_WEIGHTS = {
    3.0: (33, 133, 362, 263, 168, 6, 197, 195, 8, 9),
    1.0: (5, 4, 151, 10, 67, 297, 109, 338, 103, 332, 54, 284, 21, 251, 162, 389, 127, 356, 234, 454, 116,
          345, 117, 346, 118, 347, 50, 280, 123, 352, 93, 323),
}  # fmt: skip
"""Landmarks that do not move with speech, by weight: eye corners, nose bridge; then brow, temples, cheekbones."""

_DEPTH_SCALES = tuple(float(scale) for scale in np.arange(0.8, 1.41, 0.05))
"""Factors tried on the landmarks' depth, whose unit the landmark network leaves open."""
STRETCH_LIMITS = (0.65, 1.6)
"""Limits of a face's proportions relative to the rig's. Proportions beyond them are taken for errors of landmarks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerMouth:
    """Teeth and tongue, relative to landmark 13 of a closed mouth, in rig axes and rig units.

    `upper_teeth`, `lower_teeth` [17, 3] are the biting edges from molars to molars, left to right in the picture;
    `tongue` [2, 3] is its tip and its crest. The `_open` arrays are their displacements under jawOpen at 1.
    """

    upper_teeth: Array
    lower_teeth: Array
    lower_teeth_open: Array
    tongue: Array
    tongue_open: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRig:
    """Positions at rest `neutral` [478, 3] and displacements `deltas` [k, 478, 3] of the shapes in `names`.

    `mirror` [478] is the number of each landmark's counterpart on the other side of the face.
    """

    names: tuple[str, ...]
    neutral: Array
    deltas: Array
    mirror: NDArray[np.int16]
    mouth: InnerMouth

    def shape_index(self, name: str) -> int:
        """Row of a shape in `deltas`. Raises ValueError for an unknown name."""
        return self.names.index(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RigPose:
    """The transform `landmarks·(1, 1, depth) ≈ translation + scale · rotation @ rig`; `scale` in pixels per unit."""

    rotation: Array
    scale: float
    translation: Array
    depth: float

    def to_head(self, landmarks: Landmarks) -> Array:
        """Landmarks [478, 3] in pixels as points in rig axes and rig units."""
        flat = (landmarks * (1, 1, self.depth) - self.translation) @ self.rotation / self.scale
        return flat.astype(np.float32)

    def to_picture(self, offsets: Array) -> Array:
        """Offsets [..., 3] in rig axes and rig units as offsets [..., 2] in pixels."""
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
    """Fit the rig to landmarks [478, 3] by their rigid points, at the depth scale with the least error."""
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
    """Root mean square distance of the face's landmarks from the rig, seen from the front, in rig units.

    Photographs of people have 0.03 to 0.06, more when they laugh; drawn creatures up to 0.2.
    """
    away = (pose.to_head(landmarks) - load_rig().neutral)[:FACE_POINT_COUNT, :2]
    return float(np.sqrt(np.mean(np.sum(away**2, axis=1))))


def project_shapes(landmarks: Landmarks, rig: FaceRig, pose: RigPose) -> Array:
    """Displacement in pixels of each landmark of this face under each shape at 1, [k, 478, 2].

    Mouth and jaw shapes are scaled to the face's mouth width, lip height and jaw length, eye shapes to its eyes.
    """
    head = pose.to_head(landmarks)
    stretch = np.stack([_shape_stretch(name, head, rig.neutral) for name in rig.names])
    return pose.to_picture(rig.deltas * stretch[:, None])


def _shape_stretch(name: str, head: Array, neutral: Array) -> Array:
    """Scale of a shape along x, y, z, [3]: proportions of `head` relative to the rig's `neutral`."""

    def length_ratio(*pairs: tuple[int, int]) -> float:
        own, rig = (sum(np.linalg.norm(face[b] - face[a]) for a, b in pairs) for face in (head, neutral))
        return float(np.clip(own / rig, *STRETCH_LIMITS))

    if name.startswith("eye"):
        side = EYE_LANDMARKS[1] if name.endswith("Left") else EYE_LANDMARKS[0]
        height = length_ratio(*zip(side.upper[2:7], side.lower[2:7], strict=True))
        return np.array([length_ratio((side.upper[0], side.upper[-1])), height, height], np.float32)
    if not name.startswith(("mouth", "jaw", "cheekPuff")):
        return np.full(3, length_ratio(OUTER_EYE_CORNERS), np.float32)
    if name.startswith(("mouthRoll", "mouthPress")):
        height = length_ratio((0, 13), (14, 17))  # both lips
    else:
        height = length_ratio(
            (NOSE_BASE_LANDMARK, 0), (17, CHIN_LANDMARK)
        )  # the skin above and below the lips
    return np.array([length_ratio(OUTER_MOUTH_CORNERS), height, height], np.float32)

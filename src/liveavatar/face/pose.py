"""How the head is turned, from the landmarks in three dimensions."""

import math
from dataclasses import dataclass

import numpy as np

from liveavatar.face.canonical import load_canonical_face
from liveavatar.face.landmarks import Landmarks


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadAngles:
    """Degrees. `yaw` is positive when the nose points to the right of the picture, `pitch` when it points down,
    `roll` when the head leans to the right of the picture."""

    yaw: float
    pitch: float
    roll: float


def estimate_head_angles(landmarks: Landmarks) -> HeadAngles:
    """The rotation that best turns the canonical face into `landmarks` [478, 3], each point weighted by how
    rigidly it follows the head (orthogonal Procrustes, by the singular value decomposition)."""
    canonical = load_canonical_face()
    weights = canonical.rigidity[:, None] / canonical.rigidity.sum()
    model, seen = canonical.vertices, landmarks[: len(canonical.vertices)]
    model = model - (weights * model).sum(axis=0)
    seen = seen - (weights * seen).sum(axis=0)
    left, _, right = np.linalg.svd((weights * seen).T @ model)
    turn = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    nose, up = -turn[:, 2], -turn[:, 1]  # the canonical face looks along -z, and y points down
    return HeadAngles(
        yaw=math.degrees(math.atan2(nose[0], -nose[2])),
        pitch=math.degrees(math.asin(float(np.clip(nose[1], -1, 1)))),
        roll=math.degrees(math.atan2(up[0], -up[1])),
    )

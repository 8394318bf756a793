"""How the head is turned, from the landmarks in three dimensions."""

import math
from dataclasses import dataclass

import numpy as np

from liveavatar.face.canonical import load_canonical_face
from liveavatar.face.landmarks import Landmarks
from liveavatar.face.procrustes import fit_similarity


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadAngles:
    """Degrees. `yaw` is positive when the nose points to the right of the picture, `pitch` when it points down,
    `roll` when the head leans to the right of the picture."""

    yaw: float
    pitch: float
    roll: float


def estimate_head_angles(landmarks: Landmarks) -> HeadAngles:
    """Angles of the rotation that lays the canonical face over `landmarks` [478, 3], weighted by rigidity."""
    canonical = load_canonical_face()
    seen = landmarks[: len(canonical.vertices)]
    turn = fit_similarity(canonical.vertices, seen, canonical.rigidity).rotation
    nose, up = -turn[:, 2], -turn[:, 1]  # the canonical face looks along -z, and y points down
    return HeadAngles(
        yaw=math.degrees(math.atan2(nose[0], -nose[2])),
        pitch=math.degrees(math.asin(float(np.clip(nose[1], -1, 1)))),
        roll=math.degrees(math.atan2(up[0], -up[1])),
    )

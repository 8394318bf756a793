"""How far a mouth is open, whatever the head does."""

import numpy as np

from liveavatar.face.canonical import load_canonical_face
from liveavatar.face.landmarks import Landmarks

_UPPER_LIP_POINTS, _LOWER_LIP_POINTS = (13, 82, 312), (14, 87, 317)
"""Inner edges of the lips, at the middle and beside it."""


def measure_mouth_opening(landmarks: Landmarks) -> float:
    """Distance of the lips' inner edges in centimetres of the canonical face.

    The head's turn and size come from the points that do not move with the jaw (orthogonal Procrustes, weighted
    by rigidity), so nodding, shaking and coming closer leave the opening alone.
    """
    canonical = load_canonical_face()
    weights = canonical.rigidity[:, None] / canonical.rigidity.sum()
    model = canonical.vertices - (weights * canonical.vertices).sum(axis=0)
    seen = landmarks[: len(model)] - (weights * landmarks[: len(model)]).sum(axis=0)
    left, values, right = np.linalg.svd((weights * seen).T @ model)
    sign = np.array([1, 1, np.linalg.det(left @ right)])
    down = (left @ np.diag(sign) @ right)[:, 1]
    scale = float((values * sign).sum()) / float((weights * model**2).sum())
    gap = landmarks[list(_LOWER_LIP_POINTS)].mean(axis=0) - landmarks[list(_UPPER_LIP_POINTS)].mean(axis=0)
    return float(gap @ down) / scale

"""How far a mouth is open, whatever the head does."""

import numpy as np

from liveavatar.face.canonical import canonical_face
from liveavatar.face.landmarks import Landmarks

_UPPER, _LOWER = (13, 82, 312), (14, 87, 317)
"""Inner edges of the lips, at the middle and beside it."""


def mouth_opening(landmarks: Landmarks) -> float:
    """Distance of the lips' inner edges in centimetres of the canonical face.

    The head's turn and size come from the points that do not move with the jaw (orthogonal Procrustes, weighted
    by rigidity), so nodding, shaking and coming closer leave the opening alone.
    """
    canonical = canonical_face()
    weights = canonical.rigidity[:, None] / canonical.rigidity.sum()
    model = canonical.vertices - (weights * canonical.vertices).sum(axis=0)
    seen = landmarks[: len(model)] - (weights * landmarks[: len(model)]).sum(axis=0)
    left, values, right = np.linalg.svd((weights * seen).T @ model)
    sign = np.array([1, 1, np.linalg.det(left @ right)])
    down = (left @ np.diag(sign) @ right)[:, 1]
    scale = float((values * sign).sum()) / float((weights * model**2).sum())
    gap = landmarks[list(_LOWER)].mean(axis=0) - landmarks[list(_UPPER)].mean(axis=0)
    return float(gap @ down) / scale

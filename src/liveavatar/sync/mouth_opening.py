"""How far a mouth is open, whatever the head does."""

from liveavatar.face.canonical import load_canonical_face
from liveavatar.face.landmarks import Landmarks
from liveavatar.face.procrustes import fit_similarity

_UPPER_LIP_POINTS, _LOWER_LIP_POINTS = (13, 82, 312), (14, 87, 317)
"""Inner edges of the lips, at the middle and beside it."""


def measure_mouth_opening(landmarks: Landmarks) -> float:
    """Distance of the lips' inner edges in centimetres of the canonical face.

    The head's rotation and size come from the points that do not move with the jaw (Procrustes, weighted by
    rigidity), so they do not change the opening.
    """
    canonical = load_canonical_face()
    pose = fit_similarity(canonical.vertices, landmarks[: len(canonical.vertices)], canonical.rigidity)
    gap = landmarks[list(_LOWER_LIP_POINTS)].mean(axis=0) - landmarks[list(_UPPER_LIP_POINTS)].mean(axis=0)
    return float(gap @ pose.rotation[:, 1]) / pose.scale

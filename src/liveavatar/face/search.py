"""From a picture to its faces with their landmarks, the largest first."""

from dataclasses import dataclass

import numpy as np

from liveavatar.face.detect import Face, detect, overlap
from liveavatar.face.landmarks import Landmarks, fit
from liveavatar.frames import Picture

_SMALLEST = 16
"""Pixels: smaller faces are not looked for."""
_SHARE = 0.12
"""Faces smaller than this share of a window may be missed in it."""
_SURE = 10.0
_LIKELY = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFace:
    """`certainty` is a logit; `size` the longer side of the landmarks' extent in pixels."""

    landmarks: Landmarks
    certainty: float

    @property
    def size(self) -> float:
        """Pixels from brow to chin or from side to side, whichever is longer."""
        return float(np.ptp(self.landmarks[:, :2], axis=0).max())

    @property
    def box(self) -> Face:
        """The landmarks' extent, as a detection."""
        (left, top), (right, bottom) = self.landmarks[:, :2].min(axis=0), self.landmarks[:, :2].max(axis=0)
        return Face(box=(float(left), float(top), float(right), float(bottom)), points=self.landmarks[:6, :2],
                    score=self.certainty)  # fmt: skip


def find_faces(rgb: Picture) -> list[FoundFace]:
    """Faces in `rgb` [height, width, 3], the largest first; those much smaller than it may be missing.

    Doubtful ones count only when there is no other, and then only the most likely.
    """
    found: list[FoundFace] = []
    window = 1.5 * max(rgb.shape[:2])
    while _SHARE * window > _wanted(found):
        for face in detect(rgb, window):
            landmarks, certainty = fit(rgb, face)
            if certainty >= _LIKELY:
                found = _with(found, FoundFace(landmarks=landmarks, certainty=certainty))
        window /= 1.5
    sure = [face for face in found if face.certainty >= _SURE]
    return sorted(sure or found[:1], key=lambda face: face.size, reverse=True)


def _wanted(found: list[FoundFace]) -> float:
    """Pixels: the smallest face still worth looking for, a third of the largest sure one."""
    return max([_SMALLEST, *(face.size / 3 for face in found if face.certainty >= _SURE)])


def _with(found: list[FoundFace], new: FoundFace) -> list[FoundFace]:
    """`found` and `new`, most certain first, without those that a more certain one overlaps."""
    kept: list[FoundFace] = []
    for face in sorted([*found, new], key=lambda face: face.certainty, reverse=True):
        if not any(overlap(face.box, other.box) > 0.4 for other in kept):
            kept.append(face)
    return kept

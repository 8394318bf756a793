"""Open mouths that the landmarks underestimate: laughing cartoons, above all.

The landmark net knows human mouths. On a mouth opened wider than people open theirs it draws the lips inside the
opening. The dark of the opening gives it away: what is dark and touches the landmarks' opening belongs to it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.face_landmarks import (
    INNER_LOWER_LIP,
    INNER_MOUTH_CORNERS,
    INNER_UPPER_LIP,
    LOWER_LIP,
    UPPER_LIP,
    CoordinateFrame,
    interocular_distance,
)
from liveavatar.mesh.geometry.lip_edges import LipEdges
from liveavatar.mesh.geometry.warp_field import Array, as_float32

_MIN_OPENING = 0.15
"""Openings smaller than this, in interocular units, are left to the landmarks."""
_MIN_MISMATCH_SHARE = 0.1
"""Share of the opening by which colours must contradict the landmarks before they are believed."""
_MAX_GROWTH = 1.6
"""An opening that grows more than so many times has run out over the lips."""
_DARK_LUMA_SHARE = 0.42
"""Luminance, relative to the lips' surroundings, below which a pixel is inside of a mouth."""
_PATCH_PIXELS = 160
"""Pixels of the square in which the opening is sought."""


def widen_open_mouth(landmarks: Landmarks, rgb: Picture) -> Landmarks:
    """The landmarks, with lips moved out to the real edge of an opening that is wider than they say."""
    frame = CoordinateFrame.from_endpoints(
        landmarks[INNER_MOUTH_CORNERS[0]], landmarks[INNER_MOUTH_CORNERS[1]]
    )
    upper, lower = (frame.to_local(landmarks[list(row), :2]) for row in (INNER_UPPER_LIP, INNER_LOWER_LIP))
    if float((lower - upper)[:, 1].max()) < _MIN_OPENING * interocular_distance(landmarks):
        return landmarks
    half = float(upper[-1, 0] - upper[0, 0]) / 2
    opening = _MouthOpening(frame, half, rgb, np.vstack([upper, lower[::-1]]))
    grown = opening.segment_opening()
    known = opening.outline_mask.sum()
    if (
        grown != opening.outline_mask
    ).sum() < _MIN_MISMATCH_SHARE * known or grown.sum() > _MAX_GROWTH * known:
        return landmarks
    return _move_lips(landmarks, frame, *opening.trace_edges(grown, upper[:, 0] / half))


def snap_lip_landmarks(landmarks: Landmarks, lips: LipEdges) -> Landmarks:
    """The landmarks, with lips moved to the edges measured in the picture: lips that are shut meet exactly."""
    across = [
        lips.frame.to_local(landmarks[list(row), :2])[:, 0] for row in (INNER_UPPER_LIP, INNER_LOWER_LIP)
    ]
    heights = [
        np.interp(u, lips.columns, edge) for u, edge in zip(across, (lips.upper, lips.lower), strict=True)
    ]
    upper, lower = (as_float32(np.stack(pair, -1)) for pair in zip(across, heights, strict=True))
    return _move_lips(landmarks, lips.frame, upper, lower)


class _MouthOpening:
    """The mouth's surroundings, upright and of one size: 3.4 half widths across, centred on the mouth."""

    def __init__(self, frame: CoordinateFrame, half: float, rgb: Picture, outline: Array) -> None:
        self.reach, self.scale = 1.7 * half, _PATCH_PIXELS / (3.4 * half)
        cos, sin = (float(part) / self.scale for part in frame.axis)
        corner = frame.origin + frame.to_picture_vectors(as_float32([-self.reach, -self.reach]))
        matrix = as_float32([[cos, -sin, corner[0]], [sin, cos, corner[1]]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        patch = cv2.warpAffine(
            rgb, matrix, (_PATCH_PIXELS, _PATCH_PIXELS), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        self.luma = np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), np.uint8)
        self.lab = np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2Lab), np.uint8)
        self.outline_mask = np.zeros((_PATCH_PIXELS, _PATCH_PIXELS), np.uint8)
        cv2.fillPoly(self.outline_mask, [self._to_pixels(outline)], 1)

    def segment_opening(self) -> NDArray[np.uint8]:
        """The opening as its colours have it: what is like its middle, and all dark that hangs together with it."""
        limit, middle = _dilate_mask(self.outline_mask, 0.22), self._core_mask()
        ring = _dilate_mask(self.outline_mask, 0.18) - self.outline_mask
        dark = np.asarray(self.luma < _DARK_LUMA_SHARE * np.median(self.luma[ring > 0]), np.uint8)
        clean = np.asarray(cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        joined = (clean & limit) | self._segment_by_colour(limit) | middle
        _, parts = cv2.connectedComponents(joined)
        mine = np.asarray(parts == np.bincount(parts[middle > 0]).argmax(), np.uint8)
        return np.asarray(cv2.morphologyEx(mine, cv2.MORPH_CLOSE, _disc_kernel(0.08)), np.uint8)

    def _core_mask(self) -> NDArray[np.uint8]:
        """What surely is within the opening."""
        return np.asarray(cv2.erode(self.outline_mask, _disc_kernel(0.05)), np.uint8)

    def _segment_by_colour(self, limit: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Teeth, tongue and the dark by their colours, those of lips and skin around being others (GrabCut, Rother
        et al. 2004)."""
        labels = np.where(
            limit > 0, np.where(self.outline_mask > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD), cv2.GC_BGD
        )
        labels = labels.astype(np.uint8)
        labels[self._core_mask() > 0] = cv2.GC_FGD
        cv2.setRNGSeed(0)  # its colours start from chance
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(self.lab, labels, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
        return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), np.uint8)

    def trace_edges(self, opening: NDArray[np.uint8], columns: Array) -> tuple[Array, Array]:
        """Upper and lower edge of `grown` in the mouth's frame [n, 2], at `columns` -1…1 from corner to corner."""
        filled = np.flatnonzero(opening.any(0))
        u = np.interp(columns, [-1, 1], [filled[0], filled[-1]])
        heights = np.arange(_PATCH_PIXELS)[:, None]
        top = np.where(opening > 0, heights, _PATCH_PIXELS).min(0)[filled]
        bottom = np.where(opening > 0, heights, -1).max(0)[filled]
        kernel = np.ones(9) / 9
        rows = (np.convolve(np.pad(edge, 4, mode="edge"), kernel, mode="valid") for edge in (top, bottom))
        upper, lower = (np.interp(u, filled, row) for row in rows)
        upper[[0, -1]] = lower[[0, -1]] = (upper[[0, -1]] + lower[[0, -1]]) / 2
        return self._to_local(u, upper), self._to_local(u, lower)

    def _to_pixels(self, local: Array) -> NDArray[np.int32]:
        return np.asarray(np.rint((local + self.reach) * self.scale), np.int32)

    def _to_local(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> Array:
        return as_float32(np.stack([u, v], -1) / self.scale - self.reach)


def _dilate_mask(mask: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.dilate(mask, _disc_kernel(share)), np.uint8)


def _disc_kernel(share: float) -> NDArray[np.uint8]:
    """A disc so wide as this share of the square."""
    across = max(3, round(share * _PATCH_PIXELS)) | 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across)), np.uint8)


def _move_lips(landmarks: Landmarks, frame: CoordinateFrame, upper: Array, lower: Array) -> Landmarks:
    """Put the inner edges where they were found; the rest of each lip follows its inner edge."""
    moved = landmarks.copy()
    local = frame.to_local(landmarks[:, :2])
    for row, lip, edge in ((INNER_UPPER_LIP, UPPER_LIP, upper), (INNER_LOWER_LIP, LOWER_LIP, lower)):
        inner = local[list(row)]
        shift = edge - inner
        points = np.array([*lip, *row])
        along = np.stack([np.interp(local[points, 0], inner[:, 0], axis) for axis in shift.T], -1)
        moved[points, :2] += frame.to_picture_vectors(as_float32(along))
    for corner, neighbours in zip(INNER_MOUTH_CORNERS, ((61, 76, 62), (291, 306, 292)), strict=True):
        moved[list(neighbours), :2] += moved[corner, :2] - landmarks[corner, :2]
    return moved

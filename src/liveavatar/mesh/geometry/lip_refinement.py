"""Corrections of the lips' landmarks by the picture.

The landmark network underestimates mouths that are open wider than people open theirs, as in laughing cartoons: it
places the lips inside the opening. Pixels that are dark, or coloured like the middle of the opening, and connected
with it, show where the opening really ends.

Constants were chosen by eye on the portraits listed in `docs/mesh.md`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.curves import CoordinateFrame, interpolate_vectors
from liveavatar.mesh.geometry.face_landmarks import (
    INNER_LOWER_LIP,
    INNER_MOUTH_CORNERS,
    INNER_UPPER_LIP,
    LOWER_LIP,
    UPPER_LIP,
    interocular_distance,
)
from liveavatar.mesh.geometry.lip_edges import LipEdges

_MIN_OPENING = 0.15
"""Smallest opening that is corrected, interocular units."""
_MIN_MISMATCH_SHARE = 0.1
"""Least area in which picture and landmarks must disagree, relative to the landmarks' opening."""
_MAX_GROWTH = 1.6
"""Largest area of the corrected opening relative to the landmarks': a larger one has spread over the lips."""
_DARK_LUMA_SHARE = 0.42
"""Luma of the inside of a mouth: at most this, relative to the median around the mouth."""
_PATCH_PIXELS = 160
"""Side of the square patch, resampled around the mouth, in which the opening is searched."""
_PATCH_HALF_WIDTHS = 1.7
"""Half the side of the patch in half widths of the mouth."""
_LIMIT_MARGIN, _RING_MARGIN, _CORE_MARGIN, _CLOSING_SIZE = 0.22, 0.18, 0.05, 0.08
"""Diameters of discs relative to the patch: the opening grows by the first at most; the ring around it that gives the
median luma; its certain core is eroded by the third; holes up to the last are filled."""
_GRABCUT_ITERATIONS = 3
_EDGE_FILTER_COLUMNS = 9
"""Columns of the moving average over the edges found."""
_CORNER_NEIGHBOURS = ((61, 76, 62), (291, 306, 292))
"""Landmarks that move with the right and with the left corner of INNER_MOUTH_CORNERS."""


def widen_open_mouth(landmarks: Landmarks, rgb: Picture) -> Landmarks:
    """`landmarks` with the lips moved out to the edges of the opening, if the picture shows a wider one."""
    frame = CoordinateFrame.from_endpoints(*landmarks[list(INNER_MOUTH_CORNERS)])
    upper, lower = (frame.to_local(landmarks[list(row), :2]) for row in (INNER_UPPER_LIP, INNER_LOWER_LIP))
    if float((lower - upper)[:, 1].max()) < _MIN_OPENING * interocular_distance(landmarks):
        return landmarks
    half = float(upper[-1, 0] - upper[0, 0]) / 2
    patch = _MouthPatch(frame, half, rgb, np.vstack([upper, lower[::-1]]))
    opening = patch.segment_opening()
    area, mismatch = patch.outline_mask.sum(), (opening != patch.outline_mask).sum()
    if mismatch < _MIN_MISMATCH_SHARE * area or opening.sum() > _MAX_GROWTH * area:
        return landmarks
    return _move_lips(landmarks, frame, *patch.trace_edges(opening, upper[:, 0] / half))


def snap_lip_landmarks(landmarks: Landmarks, lips: LipEdges) -> Landmarks:
    """`landmarks` with the inner lips moved onto the edges measured in the picture; closed lips meet exactly."""
    edges = []
    for row, edge in ((INNER_UPPER_LIP, lips.upper), (INNER_LOWER_LIP, lips.lower)):
        u = lips.frame.to_local(landmarks[list(row), :2])[:, 0]
        edges.append(as_float32(np.stack([u, np.interp(u, lips.columns, edge)], -1)))
    return _move_lips(landmarks, lips.frame, *edges)


class _MouthPatch:
    """A square patch around a mouth of `half` pixels half width, upright in the mouth's frame, always of one size.

    `outline_mask` is 1 inside `outline` [n, 2], the landmarks' opening in the mouth's frame.
    """

    def __init__(self, frame: CoordinateFrame, half: float, rgb: Picture, outline: Array) -> None:
        self.reach = _PATCH_HALF_WIDTHS * half
        self.scale = _PATCH_PIXELS / (2 * _PATCH_HALF_WIDTHS * half)
        cos, sin = (float(part) / self.scale for part in frame.axis)
        corner = frame.origin + frame.to_picture_vectors(as_float32([-self.reach, -self.reach]))
        matrix = as_float32([[cos, -sin, corner[0]], [sin, cos, corner[1]]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        size = (_PATCH_PIXELS, _PATCH_PIXELS)
        patch = cv2.warpAffine(rgb, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        self.luma = np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), np.uint8)
        self.lab = np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2Lab), np.uint8)
        self.outline_mask = np.zeros(size, np.uint8)
        cv2.fillPoly(self.outline_mask, [self._to_pixels(outline)], 1)

    def segment_opening(self) -> NDArray[np.uint8]:
        """Mask of the opening: pixels that are dark or coloured like its core, and connected with the core."""
        limit, core = _dilate_mask(self.outline_mask, _LIMIT_MARGIN), self._core_mask()
        ring = _dilate_mask(self.outline_mask, _RING_MARGIN) - self.outline_mask
        dark = np.asarray(self.luma < _DARK_LUMA_SHARE * np.median(self.luma[ring > 0]), np.uint8)
        clean = np.asarray(cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        joined = (clean & limit) | self._segment_by_colour(limit) | core
        _, components = cv2.connectedComponents(joined)
        opening = np.asarray(components == np.bincount(components[core > 0]).argmax(), np.uint8)
        closing = _disc_kernel(_CLOSING_SIZE)
        return np.asarray(cv2.morphologyEx(opening, cv2.MORPH_CLOSE, closing), np.uint8)

    def _core_mask(self) -> NDArray[np.uint8]:
        """Pixels that are certainly inside the opening."""
        return np.asarray(cv2.erode(self.outline_mask, _disc_kernel(_CORE_MARGIN)), np.uint8)

    def _segment_by_colour(self, limit: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pixels within `limit` coloured like the core rather than like lips and skin.

        GrabCut: Rother, Kolmogorov and Blake, ACM TOG 23(3), 2004.
        """
        probable = np.where(self.outline_mask > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
        labels = np.where(limit > 0, probable, cv2.GC_BGD).astype(np.uint8)
        labels[self._core_mask() > 0] = cv2.GC_FGD
        cv2.setRNGSeed(0)  # the colour models start from random clusters
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(self.lab, labels, (0, 0, 1, 1), *models, _GRABCUT_ITERATIONS, cv2.GC_INIT_WITH_MASK)
        return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), np.uint8)

    def trace_edges(self, opening: NDArray[np.uint8], columns: Array) -> tuple[Array, Array]:
        """Upper and lower edge of `opening` in the mouth's frame, [n, 2] each.

        `columns` [n] are positions from -1 at the left corner of the opening to 1 at the right one.
        """
        filled = np.flatnonzero(opening.any(0))
        u = np.interp(columns, [-1, 1], [filled[0], filled[-1]])
        heights = np.arange(_PATCH_PIXELS)[:, None]
        top = np.where(opening > 0, heights, _PATCH_PIXELS).min(0)[filled]
        bottom = np.where(opening > 0, heights, -1).max(0)[filled]
        kernel, padding = np.ones(_EDGE_FILTER_COLUMNS) / _EDGE_FILTER_COLUMNS, _EDGE_FILTER_COLUMNS // 2
        rows = (
            np.convolve(np.pad(edge, padding, mode="edge"), kernel, mode="valid") for edge in (top, bottom)
        )
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
    """A disc with a diameter of `share` of the patch."""
    diameter = max(3, round(share * _PATCH_PIXELS)) | 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)), np.uint8)


def _move_lips(landmarks: Landmarks, frame: CoordinateFrame, upper: Array, lower: Array) -> Landmarks:
    """`landmarks` with the inner lips at `upper` and `lower` [11, 2] in the mouth's frame; each lip moves along."""
    moved = landmarks.copy()
    local = frame.to_local(landmarks[:, :2])
    for row, lip, edge in ((INNER_UPPER_LIP, UPPER_LIP, upper), (INNER_LOWER_LIP, LOWER_LIP, lower)):
        inner = local[list(row)]
        points = np.array([*lip, *row])
        shifts = interpolate_vectors(inner[:, 0], edge - inner, local[points, 0])
        moved[points, :2] += frame.to_picture_vectors(shifts)
    for corner, neighbours in zip(INNER_MOUTH_CORNERS, _CORNER_NEIGHBOURS, strict=True):
        moved[list(neighbours), :2] += moved[corner, :2] - landmarks[corner, :2]
    return moved

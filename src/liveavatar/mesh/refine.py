"""Open mouths that the landmarks underestimate: laughing cartoons, above all.

The landmark net knows human mouths. On a mouth opened wider than people open theirs it draws the lips inside the
opening. The dark of the opening gives it away: what is dark and touches the landmarks' opening belongs to it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.anatomy import (
    INNER_LOWER,
    INNER_UPPER,
    LOWER_LIP,
    MOUTH_CORNERS,
    UPPER_LIP,
    Frame2D,
    interocular,
)
from liveavatar.mesh.field import Array, floats
from liveavatar.mesh.lips import Lips

_OPEN = 0.15
"""Openings smaller than this, in interocular units, are left to the landmarks."""
_UNLIKE = 0.1
"""Share of the opening by which colours must contradict the landmarks before they are believed."""
_MOST = 1.6
"""An opening that grows more than so many times has run out over the lips."""
_DARK = 0.42
"""Luminance, relative to the lips' surroundings, below which a pixel is inside of a mouth."""
_SIDE = 160
"""Pixels of the square in which the opening is sought."""


def widen_open_mouth(landmarks: Landmarks, rgb: Picture) -> Landmarks:
    """The landmarks, with lips moved out to the real edge of an opening that is wider than they say."""
    frame = Frame2D.between(landmarks[MOUTH_CORNERS[0]], landmarks[MOUTH_CORNERS[1]])
    upper, lower = (frame.local(landmarks[list(row), :2]) for row in (INNER_UPPER, INNER_LOWER))
    if float((lower - upper)[:, 1].max()) < _OPEN * interocular(landmarks):
        return landmarks
    half = float(upper[-1, 0] - upper[0, 0]) / 2
    opening = _Opening(frame, half, rgb, np.vstack([upper, lower[::-1]]))
    grown = opening.grow()
    known = opening.known.sum()
    if (grown != opening.known).sum() < _UNLIKE * known or grown.sum() > _MOST * known:
        return landmarks
    return _move_lips(landmarks, frame, *opening.edges(grown, upper[:, 0] / half))


def settle(landmarks: Landmarks, lips: Lips) -> Landmarks:
    """The landmarks, with lips moved to the edges measured in the picture: lips that are shut meet exactly."""
    across = [lips.frame.local(landmarks[list(row), :2])[:, 0] for row in (INNER_UPPER, INNER_LOWER)]
    heights = [
        np.interp(u, lips.columns, edge) for u, edge in zip(across, (lips.upper, lips.lower), strict=True)
    ]
    upper, lower = (floats(np.stack(pair, -1)) for pair in zip(across, heights, strict=True))
    return _move_lips(landmarks, lips.frame, upper, lower)


class _Opening:
    """The mouth's surroundings, upright and of one size: 3.4 half widths across, centred on the mouth."""

    def __init__(self, frame: Frame2D, half: float, rgb: Picture, outline: Array) -> None:
        self.reach, self.scale = 1.7 * half, _SIDE / (3.4 * half)
        cos, sin = (float(part) / self.scale for part in frame.axis)
        corner = frame.origin + frame.vectors(floats([-self.reach, -self.reach]))
        matrix = floats([[cos, -sin, corner[0]], [sin, cos, corner[1]]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        patch = cv2.warpAffine(rgb, matrix, (_SIDE, _SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        self.luma = np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), np.uint8)
        self.lab = np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2Lab), np.uint8)
        self.known = np.zeros((_SIDE, _SIDE), np.uint8)
        cv2.fillPoly(self.known, [self._pixels(outline)], 1)

    def grow(self) -> NDArray[np.uint8]:
        """The opening as its colours have it: what is like its middle, and all dark that hangs together with it."""
        limit, middle = _grown(self.known, 0.22), self._middle()
        ring = _grown(self.known, 0.18) - self.known
        dark = np.asarray(self.luma < _DARK * np.median(self.luma[ring > 0]), np.uint8)
        clean = np.asarray(cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        joined = (clean & limit) | self._like_the_middle(limit) | middle
        _, parts = cv2.connectedComponents(joined)
        mine = np.asarray(parts == np.bincount(parts[middle > 0]).argmax(), np.uint8)
        return np.asarray(cv2.morphologyEx(mine, cv2.MORPH_CLOSE, _disc(0.08)), np.uint8)

    def _middle(self) -> NDArray[np.uint8]:
        """What surely is within the opening."""
        return np.asarray(cv2.erode(self.known, _disc(0.05)), np.uint8)

    def _like_the_middle(self, limit: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Teeth, tongue and the dark by their colours, those of lips and skin around being others (GrabCut, Rother
        et al. 2004)."""
        labels = np.where(limit > 0, np.where(self.known > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD), cv2.GC_BGD)
        labels = labels.astype(np.uint8)
        labels[self._middle() > 0] = cv2.GC_FGD
        cv2.setRNGSeed(0)  # its colours start from chance
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(self.lab, labels, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
        return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), np.uint8)

    def edges(self, grown: NDArray[np.uint8], columns: Array) -> tuple[Array, Array]:
        """Upper and lower edge of `grown` in the mouth's frame [n, 2], at `columns` -1…1 from corner to corner."""
        filled = np.flatnonzero(grown.any(0))
        u = np.interp(columns, [-1, 1], [filled[0], filled[-1]])
        heights = np.arange(_SIDE)[:, None]
        top = np.where(grown > 0, heights, _SIDE).min(0)[filled]
        bottom = np.where(grown > 0, heights, -1).max(0)[filled]
        kernel = np.ones(9) / 9
        rows = (np.convolve(np.pad(edge, 4, mode="edge"), kernel, mode="valid") for edge in (top, bottom))
        upper, lower = (np.interp(u, filled, row) for row in rows)
        upper[[0, -1]] = lower[[0, -1]] = (upper[[0, -1]] + lower[[0, -1]]) / 2
        return self._local(u, upper), self._local(u, lower)

    def _pixels(self, local: Array) -> NDArray[np.int32]:
        return np.asarray(np.rint((local + self.reach) * self.scale), np.int32)

    def _local(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> Array:
        return floats(np.stack([u, v], -1) / self.scale - self.reach)


def _grown(mask: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.dilate(mask, _disc(share)), np.uint8)


def _disc(share: float) -> NDArray[np.uint8]:
    """A disc so wide as this share of the square."""
    across = max(3, round(share * _SIDE)) | 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across)), np.uint8)


def _move_lips(landmarks: Landmarks, frame: Frame2D, upper: Array, lower: Array) -> Landmarks:
    """Put the inner edges where they were found; the rest of each lip follows its inner edge."""
    moved = landmarks.copy()
    local = frame.local(landmarks[:, :2])
    for row, lip, edge in ((INNER_UPPER, UPPER_LIP, upper), (INNER_LOWER, LOWER_LIP, lower)):
        inner = local[list(row)]
        shift = edge - inner
        points = np.array([*lip, *row])
        along = np.stack([np.interp(local[points, 0], inner[:, 0], axis) for axis in shift.T], -1)
        moved[points, :2] += frame.vectors(floats(along))
    for corner, neighbours in zip(MOUTH_CORNERS, ((61, 76, 62), (291, 306, 292)), strict=True):
        moved[list(neighbours), :2] += moved[corner, :2] - landmarks[corner, :2]
    return moved

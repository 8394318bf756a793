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

_OPEN = 0.15
"""Openings smaller than this, in interocular units, are left to the landmarks."""
_GROWTH = 1.04
"""The dark must make the opening this much larger before it is believed."""
_DARK = 0.42
"""Luminance, relative to the lips' surroundings, below which a pixel is inside of a mouth."""
_SCALE = 4


def widen_open_mouth(landmarks: Landmarks, rgb: Picture) -> Landmarks:
    """The landmarks, with lips moved out to the real edge of an opening that is wider than they say."""
    frame = Frame2D.between(landmarks[MOUTH_CORNERS[0]], landmarks[MOUTH_CORNERS[1]])
    upper, lower = (frame.local(landmarks[list(row), :2]) for row in (INNER_UPPER, INNER_LOWER))
    if float((lower - upper)[:, 1].max()) < _OPEN * interocular(landmarks):
        return landmarks
    half = float(upper[-1, 0] - upper[0, 0]) / 2
    opening = _Opening(frame, half, rgb, np.vstack([upper, lower[::-1]]))
    grown = opening.grow()
    if grown.sum() < _GROWTH * opening.known.sum():
        return landmarks
    return _move_lips(landmarks, frame, *opening.edges(grown, upper[:, 0] / half))


class _Opening:
    """The mouth's surroundings, upright and enlarged: three half widths across, centred on the mouth."""

    def __init__(self, frame: Frame2D, half: float, rgb: Picture, outline: Array) -> None:
        self.reach, self.half = 1.7 * half, half
        self.side = round(2 * self.reach * _SCALE)
        cos, sin = (float(part) / _SCALE for part in frame.axis)
        corner = frame.origin + frame.vectors(floats([-self.reach, -self.reach]))
        matrix = floats([[cos, -sin, corner[0]], [sin, cos, corner[1]]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        patch = cv2.warpAffine(
            rgb, matrix, (self.side, self.side), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        self.luma = floats(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY))
        self.known = np.zeros((self.side, self.side), np.uint8)
        cv2.fillPoly(self.known, [self._pixels(outline)], 1)

    def grow(self) -> NDArray[np.uint8]:
        """The opening together with all that is dark and hangs together with it."""
        width = max(3, round(0.06 * self.side)) | 1
        ring = cv2.dilate(self.known, np.ones((3 * width, 3 * width), np.uint8)) - self.known
        light = float(np.median(self.luma[ring > 0]))
        dark = np.asarray(self.luma < _DARK * light, np.uint8)
        limit = cv2.dilate(self.known, np.ones((4 * width, 4 * width), np.uint8))
        clean = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        joined = cv2.bitwise_or(cv2.bitwise_and(clean, limit), self.known)
        _, parts = cv2.connectedComponents(joined)
        mine = np.asarray(parts == np.bincount(parts[self.known > 0]).argmax(), np.uint8)
        return np.asarray(
            cv2.morphologyEx(mine, cv2.MORPH_CLOSE, np.ones((2 * width, width), np.uint8)), np.uint8
        )

    def edges(self, grown: NDArray[np.uint8], columns: Array) -> tuple[Array, Array]:
        """Upper and lower edge of `grown` in the mouth's frame [n, 2], at `columns` -1…1 from corner to corner."""
        filled = np.flatnonzero(grown.any(0))
        u = np.interp(columns, [-1, 1], [filled[0], filled[-1]])
        heights = np.arange(self.side)[:, None]
        top = np.where(grown > 0, heights, self.side).min(0)[filled]
        bottom = np.where(grown > 0, heights, -1).max(0)[filled]
        kernel = np.ones(9) / 9
        rows = (np.convolve(np.pad(edge, 4, mode="edge"), kernel, mode="valid") for edge in (top, bottom))
        upper, lower = (np.interp(u, filled, row) for row in rows)
        upper[[0, -1]] = lower[[0, -1]] = (upper[[0, -1]] + lower[[0, -1]]) / 2
        return self._local(u, upper), self._local(u, lower)

    def _pixels(self, local: Array) -> NDArray[np.int32]:
        return np.asarray(np.rint((local + self.reach) * _SCALE), np.int32)

    def _local(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> Array:
        return floats(np.stack([u, v], -1) / _SCALE - self.reach)


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

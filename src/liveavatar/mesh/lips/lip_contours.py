"""The four curves that bound the lips, and the patch around the mouth in which they are measured.

Curves have `POINTS` points from the left corner to the right one, in patch pixels. Equal points of the four belong
together: both halves of a curve, left and right of the middle of the lip, are divided evenly by length. (Columns of
the picture do not pair the points of a round mouth.)
"""

from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.curves import CoordinateFrame
from liveavatar.mesh.geometry.face_landmarks import (
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    LOWER_LIP,
    OUTER_MOUTH_CORNERS,
    UPPER_LIP,
)

POINTS = 61
"""Points of a curve; the middle one lies on the middle of the lip."""
MOUTH_PIXELS = 220
"""Distance of the outer corners of the mouth in a patch."""
PATCH_SIZE = (400, 480)
"""Width and height of a patch."""
_PATCH_CENTRE = (200.0, 200.0)
"""Place of the middle between the corners of the mouth in a patch."""
_ROUNDING = 61
"""Samples, 40 from one landmark to the next, over which a polyline is rounded."""
OUTER_UPPER_LIP = (OUTER_MOUTH_CORNERS[0], *UPPER_LIP[:9], OUTER_MOUTH_CORNERS[1])
OUTER_LOWER_LIP = (OUTER_MOUTH_CORNERS[0], *LOWER_LIP[:9], OUTER_MOUTH_CORNERS[1])
CURVE_LANDMARKS = (OUTER_UPPER_LIP, INNER_UPPER_LIP, INNER_LOWER_LIP, OUTER_LOWER_LIP)
"""Eleven landmarks on each curve, in the order of the fields of `LipContours`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthPatch:
    """Colours around a mouth of `MOUTH_PIXELS`, upright: Lab, float32 [h, w, 3].

    `scale` is patch pixels per pixel of the picture.
    """

    lab: Array
    frame: CoordinateFrame
    scale: float

    @classmethod
    def from_picture(cls, rgb: Picture, landmarks: Landmarks) -> "MouthPatch":
        """Cut out the mouth of a face with `landmarks`."""
        corners = landmarks[list(OUTER_MOUTH_CORNERS)]
        frame = CoordinateFrame.from_endpoints(*corners)
        scale = MOUTH_PIXELS / float(np.linalg.norm((corners[1] - corners[0])[:2]))
        (cos, sin), (x, y) = frame.axis / scale, _PATCH_CENTRE
        left, top = frame.origin - as_float32([cos * x - sin * y, sin * x + cos * y])
        flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR)
        if scale < 1:
            rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.4 / scale), np.uint8)
        matrix = as_float32([[cos, -sin, left], [sin, cos, top]])
        cut = cv2.warpAffine(rgb, matrix, PATCH_SIZE, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        lab = as_float32(cv2.cvtColor(as_float32(cut) / np.float32(255), cv2.COLOR_RGB2Lab))
        return cls(lab=lab, frame=frame, scale=scale)

    def to_patch(self, points: Array) -> Array:
        """Positions [..., 2] in the picture as positions in the patch."""
        return as_float32(self.frame.to_local(points) * np.float32(self.scale) + as_float32(_PATCH_CENTRE))

    def to_picture(self, points: Array) -> Array:
        """Positions [..., 2] in the patch as positions in the picture."""
        local = (points - as_float32(_PATCH_CENTRE)) / np.float32(self.scale)
        return as_float32(self.frame.origin + self.frame.to_picture_vectors(as_float32(local)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LipContours:
    """The four curves, each [POINTS, 2]."""

    outer_upper: Array
    inner_upper: Array
    inner_lower: Array
    outer_lower: Array

    @classmethod
    def from_landmarks(cls, points: Array) -> "LipContours":
        """The curves through landmarks at `points` [478, 2]."""
        upper, inner_upper, inner_lower, lower = (
            _resample_curve(points[list(row)]) for row in CURVE_LANDMARKS
        )
        return cls(outer_upper=upper, inner_upper=inner_upper, inner_lower=inner_lower, outer_lower=lower)

    @property
    def curves(self) -> tuple[Array, Array, Array, Array]:
        """All four, from top to bottom."""
        return self.outer_upper, self.inner_upper, self.inner_lower, self.outer_lower

    @property
    def gaps(self) -> Array:
        """How far the lower lip lies below the upper one at each point, [POINTS]."""
        return as_float32(self.inner_lower[:, 1] - self.inner_upper[:, 1])


def measure_curve_positions(points: Array) -> Array:
    """Where the eleven landmarks of a curve at `points` [11, 2] lie on it, in numbers of points, [11]."""
    step = np.linalg.norm(np.diff(points, axis=0), axis=1)
    half = POINTS // 2
    left, right = np.cumsum(step[:5]), np.cumsum(step[5:])
    return as_float32([0, *(half * left / left[-1]), *(half + half * right / right[-1])])


def _resample_curve(points: Array) -> Array:
    """A rounded curve through eleven `points` [11, 2] at `POINTS` points."""
    dense = np.linspace(0, 10, 401)
    line = np.stack([np.interp(dense, np.arange(11), axis) for axis in points.T], 1)
    kernel = np.hanning(_ROUNDING + 2)[1:-1]
    kernel /= kernel.sum()
    margin = _ROUNDING // 2
    rounded = np.stack(
        [
            np.convolve(np.pad(axis, margin, mode="reflect", reflect_type="odd"), kernel, "valid")
            for axis in line.T
        ],
        1,
    )
    half = POINTS // 2
    left, right = _divide_evenly(rounded[:201], half + 1), _divide_evenly(rounded[200:], half + 1)
    return as_float32(np.vstack([left, right[1:]]))


def _divide_evenly(line: np.ndarray, count: int) -> Array:
    """`count` points at even lengths along `line` [n, 2]."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, length[-1], count)
    return as_float32(np.stack([np.interp(at, length, axis) for axis in line.T], 1))

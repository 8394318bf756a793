"""Which landmark is what, and the little coordinate frames of mouth and eyes.

Numbers are those of the MediaPipe face mesh (468 points of the canonical face model, then 10 iris points).
"Left" and "right" are the viewer's, as in the picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.warp_field import Array, as_float32

OUTER_EYE_CORNERS = (33, 263)
CHIN_LANDMARK = 152
FOREHEAD_LANDMARK = 10
INNER_UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_LIP = (185, 40, 39, 37, 0, 267, 269, 270, 409, 184, 74, 73, 72, 11, 302, 303, 304, 408, 183, 42, 41, 38, 12,
             268, 271, 272, 407, 191, 80, 81, 82, 13, 312, 311, 310, 415)  # fmt: skip
LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375, 77, 90, 180, 85, 16, 315, 404, 320, 307, 96, 89, 179, 86, 15,
             316, 403, 319, 325, 95, 88, 178, 87, 14, 317, 402, 318, 324)  # fmt: skip
INNER_MOUTH_CORNERS = (78, 308)
FACE_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176,
             149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeLandmarks:
    """The lids from corner to corner, left to right in the picture, and the brow's lower edge above them."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    brow: tuple[int, ...]
    iris: tuple[int, ...]


EYE_LANDMARKS = (
    EyeLandmarks(
        upper=(33, 246, 161, 160, 159, 158, 157, 173, 133),
        lower=(33, 7, 163, 144, 145, 153, 154, 155, 133),
        brow=(46, 53, 52, 65, 55),
        iris=(468, 469, 470, 471, 472),
    ),
    EyeLandmarks(
        upper=(362, 398, 384, 385, 386, 387, 388, 466, 263),
        lower=(362, 382, 381, 380, 374, 373, 390, 249, 263),
        brow=(285, 295, 282, 283, 276),
        iris=(473, 474, 475, 476, 477),
    ),
)


def interocular_distance(landmarks: Landmarks) -> float:
    """Distance of the outer eye corners in 3-D, pixels: the unit of all measures in this room."""
    return float(np.linalg.norm(landmarks[OUTER_EYE_CORNERS[1]] - landmarks[OUTER_EYE_CORNERS[0]]))


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinateFrame:
    """A rotated frame in the picture: `u` along `axis`, `v` across it (down for an upright face), both in pixels."""

    origin: Array
    axis: Array

    @classmethod
    def from_endpoints(cls, left: Array, right: Array) -> "CoordinateFrame":
        """Origin halfway, axis from `left` to `right`."""
        span = (right - left)[:2]
        return cls(origin=as_float32((left + right)[:2] / 2), axis=as_float32(span / np.linalg.norm(span)))

    def to_local(self, points: Array) -> Array:
        """Picture positions [..., 2] in this frame."""
        (x, y), (cos, sin) = self.origin.tolist(), self.axis.tolist()
        return _transform_points(points, [[cos, sin, -x * cos - y * sin], [-sin, cos, x * sin - y * cos]])

    def to_picture_vectors(self, local_vectors: Array) -> Array:
        """Directions [..., 2] of this frame as directions in the picture."""
        cos, sin = self.axis.tolist()
        return _transform_points(local_vectors, [[cos, -sin], [sin, cos]])


def _transform_points(points: Array, matrix: list[list[float]]) -> Array:
    """`matrix` times every one of `points` [..., 2], and 1 if it is three wide."""
    row = as_float32(points).reshape(1, -1, 2)
    return as_float32(cv2.transform(row, np.array(matrix))).reshape(points.shape)


def interpolate_polyline(frame: CoordinateFrame, points: Array, columns: Array) -> Array:
    """Height `v` of the line through `points` [n, 2] (in the picture) at each `u` of `at`; flat beyond its ends."""
    local = frame.to_local(points)
    order = np.argsort(local[:, 0], kind="stable")
    return as_float32(np.interp(columns, local[order, 0], local[order, 1]))

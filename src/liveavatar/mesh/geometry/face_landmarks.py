"""Landmark numbers of the parts of a face, and the unit of length of this engine.

The numbers are those of the MediaPipe face mesh: 468 points of the canonical face model, then 10 iris points.
"Left" and "right" are the viewer's, as in the picture.
"""

from dataclasses import dataclass

import numpy as np

from liveavatar.face.portrait import Landmarks

FACE_POINT_COUNT = 468
"""Landmarks of the face; the ten of the irises follow them."""
OUTER_EYE_CORNERS = (33, 263)
CHIN_LANDMARK = 152
FOREHEAD_LANDMARK = 10
NOSE_BASE_LANDMARK = 2
INNER_UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_LIP = (185, 40, 39, 37, 0, 267, 269, 270, 409, 184, 74, 73, 72, 11, 302, 303, 304, 408, 183, 42, 41, 38, 12,
             268, 271, 272, 407, 191, 80, 81, 82, 13, 312, 311, 310, 415)  # fmt: skip
LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375, 77, 90, 180, 85, 16, 315, 404, 320, 307, 96, 89, 179, 86, 15,
             316, 403, 319, 325, 95, 88, 178, 87, 14, 317, 402, 318, 324)  # fmt: skip
"""Of UPPER_LIP and LOWER_LIP each: four lines of nine points, from the outer line of the lip to the inner one."""
INNER_MOUTH_CORNERS = (78, 308)
OUTER_MOUTH_CORNERS = (61, 291)
FACE_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176,
             149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeLandmarks:
    """The two lids from corner to corner, left to right in the picture; the brow's lower edge; the iris."""

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
    """Distance of the outer eye corners in three dimensions, in pixels: one interocular unit."""
    left, right = OUTER_EYE_CORNERS
    return float(np.linalg.norm(landmarks[right] - landmarks[left]))

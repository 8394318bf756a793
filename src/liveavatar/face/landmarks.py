"""The 478 points of a face: MediaPipe's mesh with attention (Grishchenko et al. 2020, arXiv:2006.10962)."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.detect import Face
from liveavatar.face.models import face_landmarker
from liveavatar.frames import Picture

Landmarks = NDArray[np.float32]
"""The 478 points of the MediaPipe face mesh, shape [478, 3]: x right, y down, z away from the camera, in
pixels of the picture; (0, 0) is the middle of its first pixel. Points 468-477 are the irises."""

_SIDE = 256
_MARGIN = 1.5
"""The square is this much longer than the face's box: what the network was trained on."""
PLAIN = 12.0
"""A logit from which on there is no doubt that this is a face, well framed."""
_OTHER_BOXES = ((1.4, 0.1), (1.9, 0.15), (1.4, 0.3), (0.75, 0.0))
_OUTER_EYE_CORNERS = (33, 263)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Square:
    """A turned square in the picture: centre, side in pixels, and radians clockwise."""

    x: float
    y: float
    side: float
    roll: float

    def to_picture(self, cells: int) -> NDArray[np.float64]:
        """Affine map [2, 3] from a raster of `cells` x `cells` over the square to the picture's pixels."""
        scale = self.side / cells
        cos, sin = scale * math.cos(self.roll), scale * math.sin(self.roll)
        half = (cells - 1) / 2
        return np.array([[cos, -sin, self.x - (cos - sin) * half], [sin, cos, self.y - (sin + cos) * half]])


def fit(rgb: Picture, face: Face) -> tuple[Landmarks, float]:
    """Landmarks of `face`, and how sure the network is that it sees one, as a logit.

    Photographs give 15 to 20, things that only remind of a face rarely more than 8.

    The first look is through the detected box; the second through the points of the first, which frames the
    face as the network likes it and so agrees better with itself. On drawn and painted faces the box often
    misses the mouth, so when the network is not sure, larger and lower boxes are tried too.
    """
    best = _fit(rgb, face, 1, 0)
    if best[1] >= PLAIN:
        return best
    others = (_fit(rgb, face, grow, drop) for grow, drop in _OTHER_BOXES)
    return max((best, *others), key=lambda result: result[1])


def _fit(rgb: Picture, face: Face, grow: float, drop: float) -> tuple[Landmarks, float]:
    """Fit through the box of `face`, `grow` times as large and moved down by the share `drop` of its size."""
    (x, y), size = face.centre, face.size
    x, y = x - drop * size * math.sin(face.roll), y + drop * size * math.cos(face.roll)
    rough, _ = _look(rgb, _Square(x=x, y=y, side=_MARGIN * grow * size, roll=face.roll))
    return _look(rgb, _around(rough))


def _around(landmarks: Landmarks) -> _Square:
    """The square that holds the points with the usual margin, level with the eyes."""
    left, right = landmarks[list(_OUTER_EYE_CORNERS), :2]
    roll = math.atan2(right[1] - left[1], right[0] - left[0])
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    level = landmarks[:, :2] @ turn
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = turn @ ((low + high) / 2)
    return _Square(x=float(x), y=float(y), side=_MARGIN * float((high - low).max()), roll=roll)


def _look(rgb: Picture, square: _Square) -> tuple[Landmarks, float]:
    numbers, logit = face_landmarker()(_crop(rgb, square))
    landmarks = numbers.reshape(-1, 3)
    to_picture = square.to_picture(_SIDE)
    # The network counts from the edge of its first pixel, a raster from the middle.
    landmarks[:, :2] = (landmarks[:, :2] - 0.5) @ to_picture[:, :2].T + to_picture[:, 2]
    landmarks[:, 2] *= square.side / _SIDE
    return landmarks, float(logit.item())


def _crop(rgb: Picture, square: _Square) -> Picture:
    """The square as the network sees it; a large one is cut out whole and then reduced: no pixel is lost."""
    cells = _SIDE * max(1, round(square.side / _SIDE))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(rgb, square.to_picture(cells), (cells, cells), flags=flags,
                         borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return np.asarray(cv2.resize(cut, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)

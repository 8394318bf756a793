"""The 478 points of a face: MediaPipe's mesh with attention (Grishchenko et al. 2020, arXiv:2006.10962)."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.canonical import canonical_face
from liveavatar.face.detect import Box, Face
from liveavatar.face.models import face_landmarker
from liveavatar.frames import Picture

Landmarks = NDArray[np.float32]
"""The 478 points of the MediaPipe face mesh, shape [478, 3]: x right, y down, z away from the camera, in
pixels of the picture; (0, 0) is the middle of its first pixel. Points 468-477 are the irises."""

_SIDE = 256
_MARGIN = 1.5
"""The square is this much longer than the face's box: what the network was trained on."""
_OUTER_EYE_CORNERS = (33, 263)
_HOPELESS = -5.0
"""A logit that no mirror image makes up for."""
_DISAGREEMENT_COST = 200.0
"""Logits: what it costs the trust in a face when picture and mirror image disagree by all of its size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Landmarks, and how far to trust that they sit on a face.

    Photographed faces have a `trust` of 7 to 20, blurred or drawn ones of 0 to 10, other things below.
    """

    landmarks: Landmarks
    trust: float

    @property
    def extent(self) -> Box:
        """The smallest box around the points."""
        (left, top), (right, bottom) = self.landmarks[:, :2].min(axis=0), self.landmarks[:, :2].max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    @property
    def size(self) -> float:
        """Longer side of the extent in pixels: about from the hairline to the chin."""
        left, top, right, bottom = self.extent
        return max(right - left, bottom - top)


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
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


def fit(rgb: Picture, face: Face, *, grow: float = 1, drop: float = 0) -> Fit:
    """Landmarks of `face` in `rgb`; its box is taken `grow` times as large and lower by `drop` of its size.

    The first look is through the box; the second through the points of the first, which frames the face as
    the network likes it; the third sees the mirror image of that. The mean of the last two is truer than
    either, and things that are not a face rarely look the same mirrored.
    """
    (x, y), size, roll = face.centre, face.size, face.roll
    x, y = x - drop * size * math.sin(roll), y + drop * size * math.cos(roll)
    rough, _ = look(rgb, Square(x=x, y=y, side=_MARGIN * grow * size, roll=roll))
    square = around(rough)
    straight, logit = look(rgb, square)
    if logit < _HOPELESS:
        return Fit(landmarks=straight, trust=logit)
    mirrored, mirrored_logit = _look_mirrored(rgb, square)
    disagreement = float(np.sqrt(np.mean((straight - mirrored)[:, :2] ** 2) * 2)) * _MARGIN / square.side
    trust = (logit + mirrored_logit) / 2 - _DISAGREEMENT_COST * disagreement
    return Fit(landmarks=(straight + mirrored) * np.float32(0.5), trust=trust)


def around(landmarks: Landmarks) -> Square:
    """The square that holds the points with the usual margin, level with the eyes."""
    left, right = landmarks[list(_OUTER_EYE_CORNERS), :2]
    roll = math.atan2(right[1] - left[1], right[0] - left[0])
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    level = landmarks[:, :2] @ turn
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = turn @ ((low + high) / 2)
    return Square(x=float(x), y=float(y), side=_MARGIN * float((high - low).max()), roll=roll)


def look(rgb: Picture, square: Square) -> tuple[Landmarks, float]:
    """Landmarks in the picture, and the logit of there being a face."""
    points, logit = _run(_crop(rgb, square))
    return _place(points, square), logit


def _look_mirrored(rgb: Picture, square: Square) -> tuple[Landmarks, float]:
    points, logit = _run(np.ascontiguousarray(_crop(rgb, square)[:, ::-1]))
    points = points[canonical_face().mirror]
    points[:, 0] = _SIDE - points[:, 0]
    return _place(points, square), logit


def _run(crop: Picture) -> tuple[Landmarks, float]:
    numbers, logit = face_landmarker()(crop)
    return numbers.reshape(-1, 3), float(logit.item())


def _place(points: Landmarks, square: Square) -> Landmarks:
    """From the network's pixels to the picture's. It counts from the edge of its first pixel, a raster from
    the middle."""
    to_picture = square.to_picture(_SIDE)
    flat = (points[:, :2] - 0.5) @ to_picture[:, :2].T + to_picture[:, 2]
    return np.column_stack([flat, points[:, 2] * square.side / _SIDE]).astype(np.float32)


def _crop(rgb: Picture, square: Square) -> Picture:
    """The square as the network sees it; a large one is cut out whole and then reduced: no pixel is lost."""
    cells = _SIDE * max(1, round(square.side / _SIDE))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(rgb, square.to_picture(cells), (cells, cells), flags=flags,
                         borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return np.asarray(cv2.resize(cut, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)

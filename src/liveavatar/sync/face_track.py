"""Follows one face through a video: found once, then each frame is looked at where the last one had it."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.landmarks import Landmarks
from liveavatar.face.models import FloatArray, face_landmarker
from liveavatar.face.search import find_faces
from liveavatar.frames import Picture

_SIDE = 256
_MARGIN = 1.5
"""Length of the square that is looked at, in sizes of the face: what the network was trained on."""
_EYES = (33, 263)
_PRESENT = 0.0
"""Logit from which the network sees a face."""
_CALM = 0.5
"""How much of the way the square follows the face in a frame: one that trembles makes the lips tremble."""
_PATIENCE = 12
"""Frames to let pass between two searches for a face that is not there: a search is dear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Square:
    x: float
    y: float
    side: float
    roll: float

    def towards(self, other: "_Square") -> "_Square":
        """A part of the way to `other`; all of it when that is far."""
        far = math.hypot(other.x - self.x, other.y - self.y) > 0.2 * self.side
        share = 1.0 if far else _CALM
        return _Square(
            x=self.x + share * (other.x - self.x),
            y=self.y + share * (other.y - self.y),
            side=self.side + share * (other.side - self.side),
            roll=self.roll + share * math.remainder(other.roll - self.roll, math.tau),
        )

    def to_picture(self, cells: int = _SIDE) -> NDArray[np.float64]:
        """Affine map [2, 3] from a raster of `cells` x `cells` to the picture's pixels."""
        scale, half = self.side / cells, (cells - 1) / 2
        cos, sin = scale * math.cos(self.roll), scale * math.sin(self.roll)
        return np.array([[cos, -sin, self.x - (cos - sin) * half], [sin, cos, self.y - (sin + cos) * half]])


class FaceTrack:
    """The largest face of the first frame that has one, from frame to frame; after a loss the next largest."""

    def __init__(self) -> None:
        self._square: _Square | None = None
        self._rest = 0

    def see(self, rgb: Picture) -> Landmarks | None:
        """Landmarks [478, 3] of the face in the next frame, None when it has none."""
        if self._square is None:
            return self._search(rgb)
        landmarks, logit = _look(rgb, self._square)
        if logit < _PRESENT:
            self._square = None
            return self._search(rgb)
        self._square = self._square.towards(_around(landmarks))
        return landmarks

    def _search(self, rgb: Picture) -> Landmarks | None:
        self._rest -= 1
        if self._rest > 0:
            return None
        faces = find_faces(rgb)
        if not faces:
            self._rest = _PATIENCE
            return None
        self._square = _around(faces[0].landmarks)
        return _look(rgb, self._square)[0]


def _around(landmarks: Landmarks) -> _Square:
    across = landmarks[_EYES[1], :2] - landmarks[_EYES[0], :2]
    roll = math.atan2(float(across[1]), float(across[0]))
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    level = landmarks[:, :2] @ turn
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = turn @ ((low + high) / 2)
    return _Square(x=float(x), y=float(y), side=_MARGIN * float((high - low).max()), roll=roll)


def _look(rgb: Picture, square: _Square) -> tuple[Landmarks, float]:
    """Landmarks in pixels of the picture, and the logit of there being a face."""
    to_picture = square.to_picture()
    numbers, logit = face_landmarker()(_crop(rgb, square))
    points: FloatArray = numbers.reshape(-1, 3)
    flat = (points[:, :2] - 0.5) @ to_picture[:, :2].T + to_picture[:, 2]
    depth = points[:, 2:] * (square.side / _SIDE)
    return np.concatenate([flat, depth], axis=1).astype(np.float32), float(logit.item())


def _crop(rgb: Picture, square: _Square) -> Picture:
    """The square as the network sees it; a large one is cut out whole and then reduced, so nothing flickers."""
    cells = _SIDE * max(1, round(square.side / _SIDE))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    cut = cv2.warpAffine(rgb, square.to_picture(cells), (cells, cells), flags=flags, borderMode=border)
    return np.asarray(cv2.resize(cut, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)

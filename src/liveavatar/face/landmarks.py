"""The 478 landmarks of a face, by MediaPipe's attention mesh (Grishchenko et al. 2020, arXiv:2006.10962)."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.canonical import load_canonical_face
from liveavatar.face.detect import Box, DetectedFace
from liveavatar.face.networks import load_face_landmarker
from liveavatar.frames import Picture

Landmarks = NDArray[np.float32]
"""The 478 points of the MediaPipe face mesh, [478, 3]: x right, y down, z away from the camera, in pixels of the
picture; (0, 0) is the centre of its first pixel. Points 468-477 are the irises."""

_INPUT_SIDE = 256
_BOX_MARGIN = 1.5
"""Side of the network's input square over that of the face's box, as in MediaPipe's face landmark graph."""
_OUTER_EYE_CORNERS = (33, 263)
_NO_FACE_LOGIT = -5.0
"""Logit below which the mirrored pass is skipped: it could not raise the trust enough."""
_DISAGREEMENT_COST = 200.0
"""Logits by which the trust falls when the straight and mirrored passes differ by the face's size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LandmarkedFace:
    """Landmarks, and a score of how certain it is that they are on a face.

    `trust` is in logits: photographed faces 7 to 20, blurred or drawn ones 0 to 10, other things less.
    """

    landmarks: Landmarks
    trust: float

    @property
    def extent(self) -> Box:
        """Bounding box of the landmarks."""
        (left, top), (right, bottom) = self.landmarks[:, :2].min(axis=0), self.landmarks[:, :2].max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    @property
    def size(self) -> float:
        """Longer side of the extent in pixels: about the distance from the hairline to the chin."""
        left, top, right, bottom = self.extent
        return max(right - left, bottom - top)


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatedSquare:
    """A rotated square in the picture: centre and side in pixels, clockwise rotation in radians."""

    x: float
    y: float
    side: float
    roll: float

    def to_picture_affine(self, cells: int) -> NDArray[np.float64]:
        """Affine matrix [2, 3] from a grid of `cells` x `cells` pixels over the square to the picture's pixels."""
        scale = self.side / cells
        cos, sin = scale * math.cos(self.roll), scale * math.sin(self.roll)
        half = (cells - 1) / 2
        return np.array([[cos, -sin, self.x - (cos - sin) * half], [sin, cos, self.y - (sin + cos) * half]])


def fit_landmarks(
    rgb: Picture, face: DetectedFace, *, box_scale: float = 1, box_drop: float = 0
) -> LandmarkedFace:
    """Landmarks of `face` in `rgb`.

    Before use, the detected box is scaled by `box_scale` and moved towards the chin by `box_drop` of its size.

    The network runs three times: in the box; in the square around the first result, as it was trained; in the mirror
    image of that square. The mean of the last two is more accurate than each. Their disagreement lowers the trust,
    since things that are not a face rarely give the same points when mirrored.
    """
    (x, y), size, roll = face.centre, face.size, face.roll
    x, y = x - box_drop * size * math.sin(roll), y + box_drop * size * math.cos(roll)
    rough, _ = predict_landmarks(rgb, RotatedSquare(x=x, y=y, side=_BOX_MARGIN * box_scale * size, roll=roll))
    square = enclose_landmarks(rough)
    straight, logit = predict_landmarks(rgb, square)
    if logit < _NO_FACE_LOGIT:
        return LandmarkedFace(landmarks=straight, trust=logit)
    mirrored, mirrored_logit = _predict_mirrored_landmarks(rgb, square)
    disagreement = float(np.sqrt(np.mean((straight - mirrored)[:, :2] ** 2) * 2)) * _BOX_MARGIN / square.side
    trust = (logit + mirrored_logit) / 2 - _DISAGREEMENT_COST * disagreement
    return LandmarkedFace(landmarks=(straight + mirrored) * np.float32(0.5), trust=trust)


def enclose_landmarks(landmarks: Landmarks) -> RotatedSquare:
    """The input square of the network around `landmarks`, levelled by the eyes."""
    left, right = landmarks[list(_OUTER_EYE_CORNERS), :2]
    roll = math.atan2(right[1] - left[1], right[0] - left[0])
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    level = landmarks[:, :2] @ turn
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = turn @ ((low + high) / 2)
    return RotatedSquare(x=float(x), y=float(y), side=_BOX_MARGIN * float((high - low).max()), roll=roll)


def predict_landmarks(rgb: Picture, square: RotatedSquare) -> tuple[Landmarks, float]:
    """Landmarks in pixels of `rgb`, and the logit of a face being in `square`."""
    points, logit = _run_landmarker(_crop_square(rgb, square))
    return _to_picture_points(points, square), logit


def _predict_mirrored_landmarks(rgb: Picture, square: RotatedSquare) -> tuple[Landmarks, float]:
    points, logit = _run_landmarker(np.ascontiguousarray(_crop_square(rgb, square)[:, ::-1]))
    points = points[load_canonical_face().mirror_indices]
    points[:, 0] = _INPUT_SIDE - points[:, 0]
    return _to_picture_points(points, square), logit


def _run_landmarker(crop: Picture) -> tuple[Landmarks, float]:
    numbers, logit = load_face_landmarker()(crop)
    return numbers.reshape(-1, 3), float(logit.item())


def _to_picture_points(points: Landmarks, square: RotatedSquare) -> Landmarks:
    """From pixels of the network's input to those of the picture. The network's origin is the corner of the first
    pixel, the picture's its centre."""
    to_picture = square.to_picture_affine(_INPUT_SIDE)
    flat = (points[:, :2] - 0.5) @ to_picture[:, :2].T + to_picture[:, 2]
    return np.column_stack([flat, points[:, 2] * square.side / _INPUT_SIDE]).astype(np.float32)


def _crop_square(rgb: Picture, square: RotatedSquare) -> Picture:
    """The square as the network's input. A large one is warped at full resolution and then area-averaged."""
    cells = _INPUT_SIDE * max(1, round(square.side / _INPUT_SIDE))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(rgb, square.to_picture_affine(cells), (cells, cells), flags=flags,
                         borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return np.asarray(cv2.resize(cut, (_INPUT_SIDE, _INPUT_SIDE), interpolation=cv2.INTER_AREA), np.uint8)

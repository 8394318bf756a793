"""Detect faces with BlazeFace, short range (Bazarevsky et al. 2019, arXiv:1907.05047).

The network's input has 128x128 pixels, and it finds faces that fill a tenth to nine tenths of them. The picture is
therefore covered with overlapping square tiles of a given size; `face.search` chooses the sizes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.face.networks import FloatArray, load_face_detector
from liveavatar.frames import Picture

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the picture."""

_INPUT_SIDE = 128
_MIN_SCORE = 0.5  # MediaPipe's default, min_detection_confidence
_SAME_FACE_OVERLAP = 0.4
"""Overlap over the area of the smaller box, from which two boxes are taken for the same face."""
_TILE_STEP = 0.65
"""Distance of tiles over their side. A face that is too small for larger tiles fits into the overlap."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectedFace:
    """A detected face, in pixels of the picture.

    `box` spans from the brows to the chin. `keypoints` [6, 2]: the eye on the left of the picture, the other eye,
    nose, mouth, both ears. `score` is within 0…1.
    """

    box: Box
    keypoints: FloatArray
    score: float

    @property
    def size(self) -> float:
        """Longer side of the box in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def roll(self) -> float:
        """Clockwise rotation of the line between the eyes, in radians."""
        across = self.keypoints[1] - self.keypoints[0]
        return math.atan2(float(across[1]), float(across[0]))


def detect_faces(rgb: Picture, window_side: float) -> list[DetectedFace]:
    """Faces found in square tiles of `window_side` pixels that cover `rgb`: best first, without duplicates."""
    scale = _INPUT_SIDE / window_side
    height, width = rgb.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    faces = [
        face
        for left, top in _iterate_tile_corners(small.shape)
        for face in _detect_in_tile(small, left, top, 1 / scale)
    ]
    return drop_overlapping_faces(faces)


def drop_overlapping_faces(faces: list[DetectedFace]) -> list[DetectedFace]:
    """`faces` by falling score, without those that overlap one of a higher score (non-maximum suppression)."""
    distinct: list[DetectedFace] = []
    for face in sorted(faces, key=lambda face: face.score, reverse=True):
        if not any(is_same_face(face.box, other.box) for other in distinct):
            distinct.append(face)
    return distinct


def is_same_face(one: Box, other: Box) -> bool:
    """Whether two boxes overlap enough to be of the same face."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(width, 0) * max(height, 0) > _SAME_FACE_OVERLAP * smaller


def _iterate_tile_corners(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Left and top of each tile; negative where the picture is smaller than a tile, which then is centred in it."""
    for top in _space_tiles(shape[0]):
        for left in _space_tiles(shape[1]):
            yield left, top


def _space_tiles(length: int) -> list[int]:
    if length <= _INPUT_SIDE:
        return [-((_INPUT_SIDE - length) // 2)]
    count = 1 + math.ceil((length - _INPUT_SIDE) / (_TILE_STEP * _INPUT_SIDE))
    return [round(start) for start in np.linspace(0, length - _INPUT_SIDE, count)]


def _detect_in_tile(small: Picture, left: int, top: int, scale: float) -> Iterator[DetectedFace]:
    """Faces in one tile of `small`, in pixels of the picture, which is `scale` times as large."""
    tile = np.zeros((_INPUT_SIDE, _INPUT_SIDE, 3), np.uint8)
    part = small[max(top, 0) : top + _INPUT_SIDE, max(left, 0) : left + _INPUT_SIDE]
    y, x = max(-top, 0), max(-left, 0)
    tile[y : y + part.shape[0], x : x + part.shape[1]] = part
    numbers, logits = load_face_detector()(tile)
    scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1), -50, 50)))
    points = _decode_boxes(numbers.reshape(-1, 8, 2)) + np.array([left, top], np.float32)
    for index in np.flatnonzero(scores >= _MIN_SCORE):
        yield _build_face(points[index] * scale, float(scores[index]))


def _build_face(corners_and_keypoints: FloatArray, score: float) -> DetectedFace:
    """`corners_and_keypoints` [8, 2]: two corners of the box, then the six keypoints."""
    (left, top), (right, bottom) = corners_and_keypoints[:2].tolist()
    return DetectedFace(box=(left, top, right, bottom), keypoints=corners_and_keypoints[2:], score=score)


def _decode_boxes(regressors: FloatArray) -> FloatArray:
    """Corners and keypoints from the network's [896, 8, 2]: centre and keypoints relative to the anchors, and size."""
    points = regressors + _build_anchors()[:, None]
    half = regressors[:, 1] / 2
    points[:, 1] = points[:, 0] + half
    points[:, 0] -= half
    return points


def _build_anchors() -> FloatArray:
    """Anchor centres [896, 2] in pixels of the input: two a cell of 8 pixels, then six a cell of 16."""
    return np.concatenate([_build_anchor_grid(8, 2), _build_anchor_grid(16, 6)])


def _build_anchor_grid(cell: int, repeats: int) -> FloatArray:
    axis = np.arange(cell / 2, _INPUT_SIDE, cell, dtype=np.float32)
    centres = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return np.repeat(centres, repeats, axis=0)

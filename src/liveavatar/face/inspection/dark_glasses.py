"""Dark glasses: what is around the eyes is dark and colourless, whatever the glasses reflect."""

import cv2
import numpy as np

from liveavatar.face.landmarks import Landmarks
from liveavatar.face.networks import FloatArray
from liveavatar.frames import Picture

_EYE_SURROUNDINGS = (
    (230, 23, 22, 24, 110, 29, 27, 28, 56),
    (450, 253, 252, 254, 339, 259, 257, 258, 286),
)
_SKIN_POINTS = (50, 280, 205, 425, 101, 330, 151, 9)
_BLACK, _DARK, _COLOURLESS = 0.3, 0.5, 0.5
"""Lightness of glasses whatever their colour, and lightness and chroma of others, relative to the skin's: without
glasses the darker value is 0.42, at a chroma of 0.84."""


def has_dark_glasses(rgb: Picture, landmarks: Landmarks) -> bool:
    """Whether both eyes are surrounded by something dark and colourless."""
    lab = _to_lab(rgb)
    light, chroma = _measure_points(lab, landmarks, _SKIN_POINTS)
    around = [_measure_points(lab, landmarks, points) for points in _EYE_SURROUNDINGS]
    lightness = max(value for value, _ in around) / max(light, 1.0)
    colour = max(value for _, value in around) / max(chroma, 1.0)
    return lightness < _BLACK or (lightness < _DARK and colour < _COLOURLESS)


def _measure_points(lab: FloatArray, landmarks: Landmarks, points: tuple[int, ...]) -> tuple[float, float]:
    """Median lightness at the landmarks `points`, and the chroma of their median colour."""
    height, width = lab.shape[:2]
    x, y = np.clip(np.rint(landmarks[list(points), :2]).astype(int), 0, (width - 1, height - 1)).T
    light, red, yellow = np.median(lab[y, x], 0).tolist()
    return light, float(np.hypot(red, yellow))


def _to_lab(rgb: Picture) -> FloatArray:
    lab = cv2.cvtColor(np.asarray(rgb, np.float32).clip(0, 255) / 255, cv2.COLOR_RGB2Lab)
    return np.asarray(cv2.GaussianBlur(lab, (0, 0), 1.0), np.float32)

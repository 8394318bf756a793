"""How blurred a portrait is, so that what is drawn into it is as blurred.

A step blurred by s and then by 1 pixel more loses the share 1 / sqrt(1 + 1 / s²) of its gradient (after Zhuo and Sim,
"Defocus map estimation from a single image", Pattern Recognition 44(9), 2011).
"""

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.boxes import bound_points, slice_box
from liveavatar.mesh.geometry.face_landmarks import FACE_POINT_COUNT

_EDGE_PERCENTILE = 97
"""Percentile of the gradient from which a pixel of the face is on an edge."""
_SHARP_PERCENTILE = 75
"""Percentile of the ratio over these pixels: shading has softer edges than the picture could show."""


def measure_blur(rgb: Picture, landmarks: Landmarks) -> float:
    """Standard deviation of the blur of a face's edges, pixels; about 0.5 in a sharp picture."""
    height, width = rgb.shape[:2]
    box = bound_points(landmarks[:FACE_POINT_COUNT, :2], 0, (width, height))
    luma = as_float32(cv2.cvtColor(slice_box(rgb, box), cv2.COLOR_RGB2GRAY))
    before, after = (_measure_slope(image) for image in (luma, cv2.GaussianBlur(luma, (0, 0), 1)))
    edges = before >= np.percentile(before, _EDGE_PERCENTILE)
    ratio = np.percentile(before[edges] / np.maximum(after[edges], 1e-3), _SHARP_PERCENTILE)
    return float(1 / np.sqrt(max(ratio**2 - 1, 1e-2)))


def _measure_slope(luma: np.ndarray) -> np.ndarray:
    across, down = (cv2.Sobel(luma, cv2.CV_32F, x, 1 - x) for x in (1, 0))
    return np.hypot(across, down)

"""Does a face wear glasses? Their frame must not move with brows and cheeks.

The bridge of glasses crosses the ridge of the nose as a band that differs from what is above and below it; skin there
changes slowly. On eighty photographs and drawn heads the band of glasses differs by 32 and more, bare noses by up to
18, and a hand on the forehead by 22.
"""

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image
from liveavatar.mesh.geometry.curves import CoordinateFrame
from liveavatar.mesh.geometry.face_landmarks import OUTER_EYE_CORNERS, interocular_distance

_NOSE_RIDGE = (9, 8, 168, 6, 197, 195, 5)
"""Landmarks from between the brows to the tip of the nose."""
_RIDGE_SAMPLES = 60
_RIDGE_LINES = (-0.02, -0.01, 0.0, 0.01, 0.02)
"""Lines beside the ridge that are averaged, interocular units."""
_BAND_WIDTH, _SMOOTHING = 0.05, 0.008
"""Distance to what is compared above and below, and blur of the picture, interocular units."""
_CHROMA_WEIGHT = 1.5
"""Weight of a and b of Lab relative to lightness, which shades of the nose change as well."""
_BAND_TO_SHARE = (18.0, 25.0), (1.0, 0.15)
"""Difference of the band, and share of their way that brows and cheeks go."""


def measure_bridge_band(rgb: Picture, landmarks: Landmarks) -> float:
    """How much a band across the ridge of the nose differs from what is above and below it, units of Lab."""
    unit = interocular_distance(landmarks)
    lab = cv2.cvtColor(as_float32(rgb) / np.float32(255), cv2.COLOR_RGB2Lab)
    smooth = as_float32(cv2.GaussianBlur(lab, (0, 0), max(0.5, _SMOOTHING * unit)))
    ridge, length = _trace_ridge(landmarks)
    aside = CoordinateFrame.from_endpoints(*landmarks[list(OUTER_EYE_CORNERS)]).to_picture_vectors(
        as_float32([[unit * line, 0] for line in _RIDGE_LINES])
    )
    colours = remap_image(smooth, as_float32(ridge[None] + aside[:, None]), cv2.INTER_LINEAR).mean(0)
    colours *= as_float32([1, _CHROMA_WEIGHT, _CHROMA_WEIGHT])
    step = max(1, round(_BAND_WIDTH * unit * _RIDGE_SAMPLES / length))
    if len(colours) <= 2 * step:
        return 0.0
    middle = colours[step:-step]
    above, below = (
        np.linalg.norm(middle - side, axis=1) for side in (colours[: -2 * step], colours[2 * step :])
    )
    return float(np.minimum(above, below).max())


def choose_brow_share(rgb: Picture, landmarks: Landmarks) -> float:
    """How far brows and cheeks of this face may go, up to 1: little under glasses, whose frame would bend."""
    return float(np.interp(measure_bridge_band(rgb, landmarks), *_BAND_TO_SHARE))


def _trace_ridge(landmarks: Landmarks) -> tuple[Array, float]:
    """Evenly spaced points along the ridge of the nose, [n, 2], and its length in pixels."""
    points = landmarks[list(_NOSE_RIDGE), :2]
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    places = np.linspace(0, along[-1], _RIDGE_SAMPLES)
    ridge = np.stack([np.interp(places, along, points[:, axis]) for axis in (0, 1)], -1)
    return as_float32(ridge), float(along[-1])

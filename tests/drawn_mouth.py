"""A face of the rig drawn in flat colours, with an open mouth: where lips and teeth end is known."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.rig import load_rig
from liveavatar.mesh.lips.lip_contours import LipContours

SIDE, UNIT = 400, 150.0
"""Side of the picture and distance of the outer eye corners, pixels."""
SKIN, DARK, TONGUE, TOOTH = (215, 172, 150), (38, 18, 18), (120, 46, 48), (226, 216, 200)
UPPER_LIP, LOWER_LIP = (166, 84, 90), (190, 98, 100)
PALETTE = (SKIN, DARK, TONGUE, TOOTH, UPPER_LIP, LOWER_LIP)
UPPER_TEETH, LOWER_TEETH = 0.35, 0.8
"""Height of the upper teeth's edge and of the lower teeth's, relative to the opening."""


def place_landmarks(jaw: float) -> Array:
    """Landmarks [478, 3] of a face whose jaw is open by `jaw`."""
    rig = load_rig()
    points = rig.neutral + jaw * rig.deltas[rig.shape_index("jawOpen")]
    return as_float32(points * UNIT + [SIDE / 2, 0.37 * SIDE, 0])


def draw_face(landmarks: Array, *, teeth: bool, lower_teeth: bool = False) -> Picture:
    """The face, RGB: lips and what is between them, with a little noise and blur."""
    contours = LipContours.from_landmarks(landmarks[:, :2])
    rgb = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    upper, lower = contours.inner_upper, contours.inner_lower
    _fill_between(rgb, contours.outer_upper, contours.outer_lower, LOWER_LIP)
    _fill_between(rgb, contours.outer_upper, upper, UPPER_LIP)
    _fill_between(rgb, upper, lower, DARK)
    _fill_between(rgb, upper + np.float32(0.6) * (lower - upper), lower, TONGUE)
    if teeth:
        _fill_between(rgb, upper, upper + np.float32(UPPER_TEETH) * (lower - upper), TOOTH)
    if lower_teeth:
        _fill_between(rgb, upper + np.float32(LOWER_TEETH) * (lower - upper), lower, TOOTH)
    noise = np.random.default_rng(0).normal(0, 2, rgb.shape)
    soft = cv2.GaussianBlur(rgb.astype(np.float32), (0, 0), 0.8)
    return np.asarray(np.clip(soft + noise, 0, 255), np.uint8)


def build_portrait(
    jaw: float, *, error: float = 0.0, teeth: bool = True, lower_teeth: bool = False
) -> Portrait:
    """A portrait with an open mouth; its landmarks take the jaw for open by `error` more than it is."""
    rgb = draw_face(place_landmarks(jaw), teeth=teeth, lower_teeth=lower_teeth)
    matte = np.full((SIDE, SIDE), 255, np.uint8)
    return Portrait(rgb=rgb, landmarks=place_landmarks(jaw + error), matte=matte, face_count=1)


def find_colour(rgb: Picture, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Pixels nearer to `colour` than to any other of the drawing."""
    palette = np.array([colour, *(other for other in PALETTE if other != colour)])
    away = np.abs(rgb[..., None, :].astype(int) - palette).sum(-1)
    return np.asarray(away.argmin(-1) == 0)


def _fill_between(rgb: Picture, upper: Array, lower: Array, colour: tuple[int, int, int]) -> None:
    outline = np.rint(np.vstack([upper, lower[::-1]]) * 16).astype(np.int32)
    cv2.fillPoly(rgb, [outline], colour, shift=4)

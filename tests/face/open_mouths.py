"""Open the mouth of a portrait whose lips are shut: what it shows is then known."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Portrait

CORNERS, CHIN, SEAM = (61, 291), 152, (13, 14)
LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324)
UPPER_LIP_EDGE = (191, 80, 81, 82, 13, 312, 311, 310, 415)
DARK, TOOTH = (40, 18, 16), (226, 220, 208)


def open_mouth(portrait: Portrait, gap: float, *, teeth: float = 0.0) -> Portrait:
    """The portrait with its lips `gap` mouth widths apart; `teeth` of that height are filled from above."""
    left, right = portrait.landmarks[list(CORNERS), :2]
    width, middle = float(right[0] - left[0]), (left + right) / 2
    seam = float(portrait.landmarks[list(SEAM), 1].mean())
    rows, columns = (np.asarray(axis, np.float32) for axis in np.indices(portrait.rgb.shape[:2]))
    arch = np.sqrt(np.clip(1 - ((columns - middle[0]) / (0.48 * width)) ** 2, 0, 1))
    line = seam + (middle[1] - seam) * (1 - arch)
    opening = gap * width * arch
    chin = float(portrait.landmarks[CHIN, 1])
    fall = np.clip((chin - rows) / (chin - seam), 0, 1)
    below = rows > line + opening
    moved = np.asarray(
        cv2.remap(
            portrait.rgb, columns, np.asarray(rows - below * opening * fall, np.float32), cv2.INTER_LINEAR
        )
    )
    inside = (rows > line) & (rows <= line + opening)
    shown = np.where((rows < line + teeth * opening)[..., None], TOOTH, DARK)
    share = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.5)[..., None]
    rgb = np.rint(moved * (1 - share) + shown * share).astype(np.uint8)
    return replace(portrait, rgb=rgb, landmarks=_lower_lip(portrait.landmarks, gap * width))


def _lower_lip(landmarks: NDArray[np.float32], gap: float) -> NDArray[np.float32]:
    """The landmarks with the lower lip `gap` pixels down in its middle."""
    left, right = landmarks[list(CORNERS), 0]
    moved = landmarks.copy()
    lip = list(LOWER_LIP)
    place = 2 * (landmarks[lip, 0] - (left + right) / 2) / (right - left)
    moved[lip, 1] += gap * np.sqrt(np.clip(1 - place**2, 0, 1))
    return moved

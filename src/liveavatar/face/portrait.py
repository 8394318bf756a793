"""A picture with one chosen face in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture

Landmarks = NDArray[np.float32]
"""The 478 points of the MediaPipe face mesh, shape [478, 3]: x right, y down, z away from the camera, in pixels
of the picture. Points 468-477 are the irises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """`rgb` upright, [height, width, 3] uint8; `matte` is the share of person in each pixel, [height, width] uint8."""

    rgb: Picture
    landmarks: Landmarks
    matte: NDArray[np.uint8]
    faces: int

"""A picture with one chosen face in it."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import PortraitError
from liveavatar.face.landmarks import Landmarks
from liveavatar.face.matte import person_matte
from liveavatar.face.search import find_faces
from liveavatar.frames import Picture

__all__ = ["Landmarks", "Portrait", "load_portrait"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portrait:
    """`rgb` is upright, [height, width, 3] uint8.

    `matte` is the share of person in each pixel, [height, width] uint8; `landmarks` belong to one of the
    `faces` faces that were found.
    """

    rgb: Picture
    landmarks: Landmarks
    matte: NDArray[np.uint8]
    faces: int


def load_portrait(path: Path | str, face: int | None = None) -> Portrait:
    """Read a picture and find the face in it: the largest, or number `face` counted from 1, largest first.

    Raises:
        PortraitError: the picture cannot be read, has no usable face, or no face of that number.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise PortraitError(f"{path} cannot be read", "give a JPEG, PNG or WebP picture")
    rgb = np.asarray(image[..., ::-1], np.uint8).copy()
    found = find_faces(rgb)
    if not found:
        raise PortraitError(f"no face was found in {path}", "use a picture with one face seen from the front")
    if not 1 <= (face or 1) <= len(found):
        raise PortraitError(f"there is no face {face} in {path}", f"choose --face 1…{len(found)}")
    landmarks = found[(face or 1) - 1].landmarks
    return Portrait(rgb=rgb, landmarks=landmarks, matte=person_matte(rgb, landmarks), faces=len(found))

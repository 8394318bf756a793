"""A picture with one chosen face in it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import PortraitError
from liveavatar.face.landmarks import Landmarks
from liveavatar.face.matte import compute_person_matte
from liveavatar.face.picture import read_picture, reduce_picture
from liveavatar.face.search import CLEAR_FACE_TRUST, find_faces
from liveavatar.frames import Picture

__all__ = ["Landmarks", "Portrait", "find_portrait", "load_portrait"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portrait:
    """`rgb` is upright, [height, width, 3] uint8.

    `matte` is the share of person in each pixel, [height, width] uint8; `landmarks` belong to one of the
    `faces` faces that were found. `trust` tells how sure it is that they sit on a face: 9 and more for sharp
    photographs, 2 to 9 for blurred ones, less for drawn and strange ones, whose eyes and mouth may be off.
    """

    rgb: Picture
    landmarks: Landmarks
    matte: NDArray[np.uint8]
    face_count: int
    trust: float = 20.0


_UPSIDE_DOWN_SIDE = 640
"""Pixels to which a picture without a face is reduced to see whether it stands on its head."""
MIN_FACE_PIXELS = 40
"""Pixels from hairline to chin: with fewer a mouth is a smudge, and the picture is refused."""


def load_portrait(path: Path | str, face: int | None = None) -> Portrait:
    """Read a picture and find the face in it: the largest, or number `face` counted from 1, largest first.

    Raises:
        PortraitError: the picture cannot be read, has no usable face, or no face of that number.
    """
    return find_portrait(read_picture(path), face, name=str(path))


def find_portrait(rgb: Picture, face: int | None = None, *, name: str = "the picture") -> Portrait:
    """The portrait in a decoded picture, RGB [height, width, 3]; `name` is what errors call it.

    Raises:
        PortraitError: it has no usable face, or no face of that number.
    """
    found = find_faces(rgb)
    if not found:
        raise PortraitError(f"no face was found in {name}", _suggest_remedy(rgb))
    if face is not None and not 1 <= face <= len(found):
        many = f"1…{len(found)}" if len(found) > 1 else "1, the only one"
        raise PortraitError(f"there is no face {face} in {name}", f"choose face {many}")
    chosen = found[(face or 1) - 1]
    if chosen.size < MIN_FACE_PIXELS:
        raise PortraitError(
            f"the face in {name} is only {chosen.size:.0f} pixels high",
            f"use a picture whose face has at least {MIN_FACE_PIXELS} pixels, better 200",
        )
    matte = compute_person_matte(rgb, chosen.landmarks)
    return Portrait(
        rgb=rgb, landmarks=chosen.landmarks, matte=matte, face_count=len(found), trust=chosen.trust
    )


def _suggest_remedy(rgb: Picture) -> str:
    """What to do about a picture without a face. Only those on their head are missed for how they lie."""
    turned = find_faces(np.ascontiguousarray(reduce_picture(rgb, _UPSIDE_DOWN_SIDE)[::-1, ::-1]))
    if any(face.trust >= CLEAR_FACE_TRUST for face in turned):
        return "turn the picture by 180°"
    return "use a picture of one face seen from the front, 200 pixels high or more"

"""Load a portrait: a picture, the landmarks of one face in it, and the person's matte."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import OptionError, PortraitError
from liveavatar.face.detect import Box
from liveavatar.face.landmarks import Landmarks
from liveavatar.face.matte import compute_person_matte
from liveavatar.face.picture import read_picture, reduce_picture
from liveavatar.face.search import CLEAR_FACE_TRUST, find_faces
from liveavatar.files import describe_path, to_path
from liveavatar.frames import Picture

__all__ = ["Landmarks", "Portrait", "find_portrait", "load_portrait"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portrait:
    """A picture with one chosen face.

    `rgb` is upright, [height, width, 3] uint8. `matte` is the share of the person in each pixel, [height, width]
    uint8. `landmarks` are those of the chosen face, `face_count` the number of faces found. `trust` is the certainty
    that the landmarks are on a face, in logits: 9 and more for sharp photographs, 2 to 9 for blurred ones, less for
    drawn and strange ones, whose eyes and mouth may be off. `nearest_face` is the distance to the nearest other face,
    over this one's size: 0 where they touch, None without another.
    """

    rgb: Picture
    landmarks: Landmarks
    matte: NDArray[np.uint8]
    face_count: int
    trust: float = 20.0
    nearest_face: float | None = None


_UPSIDE_DOWN_SIDE = 640
"""Pixels, long side: a picture without a face is reduced to this and searched upside down."""
MIN_FACE_PIXELS = 40
"""Pixels from hairline to chin: smaller faces are refused, since their mouths have no detail."""


def load_portrait(path: Path | str, face: int | None = None) -> Portrait:
    """Read a picture and choose a face: number `face`, 1 being the largest, which is also the default.

    Raises:
        PortraitError: the picture cannot be read, has no usable face, or no face of that number.
        OptionError: `face` is not a whole number.
    """
    rgb = read_picture(path)
    return find_portrait(rgb, face, name=describe_path(to_path(path, PortraitError, "picture")))


def find_portrait(rgb: Picture, face: int | None = None, *, name: str = "the picture") -> Portrait:
    """The portrait in a decoded picture, RGB [height, width, 3]; errors call it `name`.

    Raises:
        PortraitError: it has no usable face, or no face of that number.
        OptionError: `face` is not a whole number.
    """
    _check_face_number(face)
    faces = find_faces(rgb)
    if not faces:
        raise PortraitError(f"no face was found in {name}", _suggest_remedy(rgb))
    if face is not None and not 1 <= face <= len(faces):
        choices = f"1…{len(faces)}" if len(faces) > 1 else "1, the only one"
        raise PortraitError(f"there is no face {face} in {name}", f"choose face {choices}")
    chosen = faces[(face or 1) - 1]
    if chosen.size < MIN_FACE_PIXELS:
        raise PortraitError(
            f"the face in {name} is only {chosen.size:.0f} pixels high",
            f"use a picture whose face has at least {MIN_FACE_PIXELS} pixels, better 200",
        )
    matte = compute_person_matte(rgb, chosen.landmarks)
    gaps = [_measure_gap(chosen.extent, face.extent) / chosen.size for face in faces if face is not chosen]
    return Portrait(
        rgb=rgb,
        landmarks=chosen.landmarks,
        matte=matte,
        face_count=len(faces),
        trust=chosen.trust,
        nearest_face=min(gaps, default=None),
    )


def _measure_gap(one: Box, other: Box) -> float:
    """Pixels between two boxes; 0 where they touch or overlap."""
    across = max(one[0], other[0]) - min(one[2], other[2])
    down = max(one[1], other[1]) - min(one[3], other[3])
    return max(across, down, 0.0)


def _check_face_number(face: object) -> None:
    if face is not None and (isinstance(face, bool) or not isinstance(face, int | np.integer)):
        raise OptionError(
            f"a {type(face).__name__} is not the number of a face",
            "use 1 for the largest, 2 for the next, or None",
        )


def _suggest_remedy(rgb: Picture) -> str:
    """The remedy for a picture without a face. The search finds faces in any rotation but upside down."""
    upside_down = find_faces(np.ascontiguousarray(reduce_picture(rgb, _UPSIDE_DOWN_SIDE)[::-1, ::-1]))
    if any(face.trust >= CLEAR_FACE_TRUST for face in upside_down):
        return "turn the picture by 180°"
    return "use a picture of one face seen from the front, 200 pixels high or more"

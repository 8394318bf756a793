"""Scale and crop a portrait to the size of the video."""

import operator
from dataclasses import dataclass, replace
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import OptionError, PortraitError
from liveavatar.face.portrait import MIN_FACE_PIXELS, Portrait
from liveavatar.report import Finding, FindingLevel

SCALE_FINDING = "scale"
"""Name of the finding that says by how much a portrait is enlarged."""

_FACE_CENTRE_SHARE = 0.42
"""Height of the face's centre in the frame, from the top: a little above the middle, as in head-and-shoulders shots."""

_FACE_SHARE, _LEAST_FACE_SHARE, _MOST_FACE_SHARE = 0.42, 0.35, 0.5
"""Height of the face, hairline to chin, over that of the frame: the usual one, and the limits."""
_HAIR_REACH = 0.9
"""Face heights above the hairline that count as hair or hat."""
_HAIR_MARGIN = 0.12
"""Room above the hair, face heights: the head moves up by as much."""
_CHIN_MARGIN = 0.25
"""Least room below the chin, face heights: the jaw opens and the head moves down."""
_SIDE_REACH = 1.1
"""Face heights to either side of the face's middle that count as the head."""
_PERSON_SHARE = 128
"""Value of the matte from which a pixel shows the person."""
_LEAST_PERSON_ROW = 0.06
"""Width of the person in a row that still belongs to the hair, face heights."""

_SAME_SCALE = 0.02  # closer to 1 nothing is said
_MAX_CLEAN_ENLARGEMENT = 1.5
"""Enlarged more, a portrait is visibly soft."""

MIN_FRAME_SIDE, MAX_FRAME_SIDE = 64, 4096


_SIZE_REMEDY = "use auto or an even WIDTHxHEIGHT such as 512x512"


def parse_size(value: str) -> tuple[int, int] | None:
    """`auto`, `704x384` or `704*384` as (width, height); None is auto.

    Raises:
        OptionError: anything else, an odd number, or outside 64…4096.
    """
    if value == "auto":
        return None
    try:
        width, height = (int(side) for side in value.lower().replace("*", "x").split("x"))
    except ValueError:
        raise OptionError(f"size {value[:40]!r} is not a size", _SIZE_REMEDY) from None
    _check_sides(width, height, value)
    return width, height


def check_frame_size(size: object) -> tuple[int, int] | None:
    """A size as callers of the library give it: None, a pair of whole numbers, or a string for `parse_size`.

    Raises:
        OptionError: it is something else, or the sides are odd or outside 64…4096.
    """
    if size is None or isinstance(size, str):
        return size if size is None else parse_size(size)
    try:
        width, height = (operator.index(side) for side in size)  # type: ignore[attr-defined]  # TypeError: no pair
    except (TypeError, ValueError):
        raise OptionError(
            f"size {_shorten(size)} is not a pair of whole numbers",
            "use (width, height), such as (512, 512), or None",
        ) from None
    _check_sides(width, height, f"({width}, {height})")
    return width, height


def _check_sides(width: int, height: int, name: str) -> None:
    sides = width, height
    if any(side % 2 for side in sides) or not all(MIN_FRAME_SIDE <= side <= MAX_FRAME_SIDE for side in sides):
        raise OptionError(
            f"size {name[:40]} must have even sides of {MIN_FRAME_SIDE}…{MAX_FRAME_SIDE}", _SIZE_REMEDY
        )


def _shorten(value: object) -> str:
    return repr(value).replace("\n", " ")[:40]


@dataclass(frozen=True, slots=True, kw_only=True)
class CropWindow:
    """The part of a portrait that becomes a frame, in pixels of the portrait.

    `scale` is pixels of the frame over pixels of the portrait; `face_pixels` is the face's longer side in the frame.
    """

    left: int
    top: int
    width: int
    height: int
    scale: float
    face_pixels: float


def choose_crop_window(portrait: Portrait, size: tuple[int, int]) -> CropWindow:
    """The window of the shape of `size` (width, height) around head and shoulders, with the hair in it.

    The face, from hairline to chin, has 35 to 50 % of its height, if the picture reaches far enough. The window lies
    within the picture; where that is too small for the head, the chin comes first, then the hair.

    Raises:
        PortraitError: the face would have less than `MIN_FACE_PIXELS` in the frame.
    """
    window = _choose_window(portrait, size)
    if window.face_pixels < MIN_FACE_PIXELS:
        factor = MIN_FACE_PIXELS / window.face_pixels
        width, height = (2 * ceil(side * factor / 2) for side in size)
        raise PortraitError(
            f"in a video of {size[0]}x{size[1]} the face is only {window.face_pixels:.0f} pixels high",
            f"use --size {width}x{height} or larger",
        )
    return window


def judge_enlargement(window: CropWindow, size: tuple[int, int]) -> Finding:
    """A finding that says by how much a frame of `size` (width, height) enlarges or shrinks the portrait."""
    face = f"the face is {window.face_pixels:.0f} pixels high in a video of {size[0]}x{size[1]}"
    if window.scale > 1 + _SAME_SCALE:
        level: FindingLevel = "warn" if window.scale > _MAX_CLEAN_ENLARGEMENT else "ok"
        sentence = f"the portrait is enlarged {window.scale:.2g} times; {face}"
        remedy = "use a larger picture or a smaller --size" if level == "warn" else ""
        return Finding(name=SCALE_FINDING, level=level, sentence=sentence, remedy=remedy)
    change = (
        f"shrunk to {window.scale:.0%}" if window.scale < 1 - _SAME_SCALE else "neither enlarged nor shrunk"
    )
    return Finding(name=SCALE_FINDING, level="ok", sentence=f"the portrait is {change}; {face}", remedy="")


def crop_portrait(portrait: Portrait, size: tuple[int, int] | None) -> Portrait:
    """The portrait in a frame of `size` (width, height), around head and shoulders, without bars or distortion.

    `choose_crop_window` says which part; here a small face is not refused. None keeps the size, less an odd row or
    column: H.264 in 4:2:0 needs even sides.
    """
    if size is None:
        height, width = portrait.rgb.shape[:2]
        return _cut_window(portrait, 0, 0, width & ~1, height & ~1)
    window = _choose_window(portrait, size)
    part = _cut_window(portrait, window.left, window.top, window.width, window.height)
    return _scale_portrait(part, size)


def cover_frame(portrait: Portrait, size: tuple[int, int]) -> Portrait:
    """As much of the portrait as a frame of `size` (width, height) can show, cut around the face."""
    height, width = portrait.rgb.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    scaled = _scale_portrait(
        portrait, (max(size[0], round(width * scale)), max(size[1], round(height * scale)))
    )
    height, width = scaled.rgb.shape[:2]
    face = scaled.landmarks[:468, :2]
    centre = (face.min(0) + face.max(0)) / 2
    x = int(np.clip(round(float(centre[0]) - size[0] / 2), 0, width - size[0]))
    y = int(np.clip(round(float(centre[1]) - size[1] * _FACE_CENTRE_SHARE), 0, height - size[1]))
    return _cut_window(scaled, x, y, *size)


def _choose_window(portrait: Portrait, size: tuple[int, int]) -> CropWindow:
    picture_height, picture_width = portrait.rgb.shape[:2]
    face = portrait.landmarks[:468, :2]
    (left, top), (right, bottom) = face.min(0).tolist(), face.max(0).tolist()
    face_height, aspect = bottom - top, size[0] / size[1]
    head_left, head_top, head_right = _find_head(portrait.matte, (left, top, right, bottom))
    needed = max(
        bottom + _CHIN_MARGIN * face_height - (head_top - _HAIR_MARGIN * face_height),
        (head_right - head_left) / aspect,
        face_height / _FACE_SHARE,
    )
    height = float(np.clip(needed, face_height / _MOST_FACE_SHARE, face_height / _LEAST_FACE_SHARE))
    height = min(height, picture_height, picture_width / aspect)
    width = height * aspect
    y = min((top + bottom) / 2 - _FACE_CENTRE_SHARE * height, head_top - _HAIR_MARGIN * face_height)
    y = max(y, bottom + _CHIN_MARGIN * face_height - height)
    if height < (1 + _CHIN_MARGIN) * face_height:  # a strip that cannot hold the face shows its middle
        y = (top + bottom - height) / 2
    columns, rows = (max(1, round(side)) for side in (width, height))
    return CropWindow(
        left=int(np.clip(round((left + right - width) / 2), 0, picture_width - columns)),
        top=int(np.clip(round(y), 0, picture_height - rows)),
        width=columns,
        height=rows,
        scale=size[1] / height,
        face_pixels=max(right - left, face_height) * size[1] / height,
    )


def _find_head(
    matte: NDArray[np.uint8], face: tuple[float, float, float, float]
) -> tuple[float, float, float]:
    """Left, top and right of the head with its hair, by the matte; `face` is left, top, right, bottom."""
    left, top, right, bottom = face
    height, middle = bottom - top, (left + right) / 2
    first_row = max(0, round(top - _HAIR_REACH * height))
    first_column = max(0, round(middle - _SIDE_REACH * height))
    last_row, last_column = round((top + bottom) / 2), round(middle + _SIDE_REACH * height)
    person = matte[first_row : last_row + 1, first_column : last_column + 1] >= _PERSON_SHARE
    hairline = max(0, min(round(top) - first_row, len(person)))
    is_bare = person[:hairline].sum(axis=1) < _LEAST_PERSON_ROW * height
    head_row = int(np.flatnonzero(is_bare)[-1]) + 1 if is_bare.any() else 0
    columns = np.flatnonzero(person[head_row:].any(axis=0))
    if not columns.size:
        return left, top, right
    return (
        min(left, float(first_column + columns[0])),
        min(top, float(first_row + head_row)),
        max(right, float(first_column + columns[-1])),
    )


def _scale_portrait(portrait: Portrait, size: tuple[int, int]) -> Portrait:
    height, width = portrait.rgb.shape[:2]
    if size == (width, height):
        return portrait
    interpolation = cv2.INTER_AREA if size[0] < width else cv2.INTER_CUBIC
    factor = np.array([size[0] / width, size[1] / height, size[0] / width], np.float32)
    # Integer coordinates are centres of pixels, not corners.
    centre = np.array([0.5, 0.5, 0], np.float32)
    return replace(
        portrait,
        rgb=np.asarray(cv2.resize(portrait.rgb, size, interpolation=interpolation), np.uint8),
        matte=np.asarray(cv2.resize(portrait.matte, size, interpolation=cv2.INTER_LINEAR), np.uint8),
        landmarks=(portrait.landmarks + centre) * factor - centre,
    )


def _cut_window(portrait: Portrait, x: int, y: int, width: int, height: int) -> Portrait:
    window = (slice(y, y + height), slice(x, x + width))
    return replace(
        portrait,
        rgb=np.ascontiguousarray(portrait.rgb[window]),
        matte=np.ascontiguousarray(portrait.matte[window]),
        landmarks=portrait.landmarks - np.array([x, y, 0], np.float32),
    )

"""Scale and crop a portrait to the size of the video."""

import operator
from dataclasses import replace

import cv2
import numpy as np

from liveavatar.errors import OptionError
from liveavatar.face.portrait import Portrait

_FACE_CENTRE_SHARE = 0.42
"""Height of the face's centre in the crop, from the top: a little above the middle, as in head-and-shoulders shots."""

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


def crop_portrait(portrait: Portrait, size: tuple[int, int] | None) -> Portrait:
    """The portrait scaled and cropped to `size` (width, height) around the face, without bars or distortion.

    None keeps the size, less an odd row or column: H.264 in 4:2:0 needs even sides.
    """
    height, width = portrait.rgb.shape[:2]
    if size is None:
        return _cut_window(portrait, 0, 0, width & ~1, height & ~1)
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

"""Scale and crop a portrait to the size of the video."""

from dataclasses import replace

import cv2
import numpy as np

from liveavatar.errors import OptionError
from liveavatar.face.portrait import Portrait

_FACE_CENTRE_SHARE = 0.42
"""Height of the face's centre in the crop, from the top: a little above the middle, as in head-and-shoulders shots."""

MIN_FRAME_SIDE, MAX_FRAME_SIDE = 64, 4096


def parse_size(value: str) -> tuple[int, int] | None:
    """`auto`, `704x384` or `704*384` as (width, height); None is auto.

    Raises:
        OptionError: anything else, an odd number, or outside 64…4096.
    """
    if value == "auto":
        return None
    remedy = "use auto or an even WIDTHxHEIGHT such as 512x512"
    try:
        width, height = (int(side) for side in value.lower().replace("*", "x").split("x"))
    except ValueError:
        raise OptionError(f"size {value!r} is not a size", remedy) from None
    if (
        width % 2
        or height % 2
        or not all(MIN_FRAME_SIDE <= side <= MAX_FRAME_SIDE for side in (width, height))
    ):
        raise OptionError(f"size {value} must have even sides of {MIN_FRAME_SIDE}…{MAX_FRAME_SIDE}", remedy)
    return width, height


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

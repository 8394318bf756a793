"""The portrait as a tensor for the model, in a frame of whole patches.

The public reference resizes until the shorter sides agree and pads with black bars. Here the picture covers the frame
and the excess is cropped; `black_bars=True` gives the reference's picture, for comparison. Sizes are (width, height).
"""

from math import sqrt

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from liveavatar.errors import OptionError, PortraitError
from liveavatar.frames import Picture

FrameSize = tuple[int, int]

SIDE_DIVISOR = 64
"""Sides of a frame are multiples of this: of 8 for the latent, times 8 for the widest patch of past latents."""

SMALL_FACE_PIXELS = 128
"""Side of the square that the small model draws."""

_SCALE_TRIES = 100
"""Steps from the largest scale to the smallest, as in the reference."""

_SMALLEST_ENLARGED_SCALE = 0.1
"""Smallest scale of a portrait that fits the area without reduction, as in the reference."""


def fit_frame_size(portrait: FrameSize, max_pixels: int) -> FrameSize:
    """The size of the frames for a portrait: near its shape, of whole patches, at most `max_pixels`.

    A small portrait is not enlarged beyond the next multiple of 64.

    Raises:
        OptionError: no frame of that shape has so few pixels.
    """
    width, height = portrait
    largest, smallest = _find_scale_range(width, height, max_pixels)
    for attempt in range(_SCALE_TRIES):
        scale = largest - (largest - smallest) * attempt / _SCALE_TRIES
        frame_width, frame_height = _round_up_side(int(width * scale)), _round_up_side(int(height * scale))
        if 0 < frame_width * frame_height <= max_pixels:
            return frame_width, frame_height
    raise OptionError(
        f"no frame of the portrait's shape fits into {max_pixels} pixels", "use a larger --size"
    )


def _find_scale_range(width: int, height: int, max_pixels: int) -> tuple[float, float]:
    """The largest and the smallest scale to try."""
    pixels = width * height
    if pixels <= max_pixels:
        return 1.0, _SMALLEST_ENLARGED_SCALE
    rounding = SIDE_DIVISOR - 1
    b, c = rounding * (width + height), rounding**2 - max_pixels
    # the exact root has 4 for 2; the reference has 2, which decides the sizes that result
    return sqrt(max_pixels / pixels), (sqrt(max(0, b * b - 2 * pixels * c)) - b) / (2 * pixels)


def _round_up_side(side: int) -> int:
    return -(-side // SIDE_DIVISOR) * SIDE_DIVISOR


def frame_portrait(rgb: Picture, size: FrameSize, *, black_bars: bool = False) -> Tensor:
    """The portrait [3, height, width], float32 in -1…1, in a frame of `size`.

    Raises:
        OptionError: the sides of `size` are not positive multiples of 64.
        PortraitError: the picture is empty.
    """
    if any(side < SIDE_DIVISOR or side % SIDE_DIVISOR for side in size):
        raise OptionError(f"a frame of {size[0]}x{size[1]} is not of whole patches", "use multiples of 64")
    if not rgb.size:
        raise PortraitError("the portrait has no pixels", "use another picture")
    framed = _add_black_bars(rgb, size) if black_bars else _cover_frame(rgb, size)
    return torch.from_numpy(framed).permute(2, 0, 1).float() / 255 * 2 - 1


def _cover_frame(rgb: Picture, size: FrameSize) -> Picture:
    height, width = rgb.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    covering = (max(size[0], round(width * scale)), max(size[1], round(height * scale)))
    return _crop_centre(resize_bilinear(rgb, covering), size)


def _add_black_bars(rgb: Picture, size: FrameSize) -> Picture:
    height, width = rgb.shape[:2]
    short, scaled = min(width, height), min(size)
    resized = resize_bilinear(rgb, (int(scaled * width / short), int(scaled * height / short)))
    missing = [max(0, size[1] - resized.shape[0]), max(0, size[0] - resized.shape[1])]
    bars = [(amount // 2, amount - amount // 2) for amount in missing]
    return _crop_centre(np.pad(resized, [*bars, (0, 0)]), size)


def _crop_centre(rgb: Picture, size: FrameSize) -> Picture:
    """The middle of a picture; between two pixels it is rounded to even, like Python's `round`."""
    top, left = round((rgb.shape[0] - size[1]) / 2), round((rgb.shape[1] - size[0]) / 2)
    return rgb[top : top + size[1], left : left + size[0]].copy()


def resize_bilinear(rgb: Picture, size: FrameSize) -> Picture:
    """The picture in another size, by Pillow's bilinear filter, horizontally first.

    In two calls, since Pillow 13 chooses the order of its two passes by their cost. The reference was computed with a
    fixed order, and the other one differs by one level here and there.
    """
    wide = Image.fromarray(rgb).resize((size[0], rgb.shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(wide.resize(size, Image.Resampling.BILINEAR))

"""The portrait as the model wants it: sides of whole patches within an area, the picture filling them.

The public reference resizes until the shorter sides agree and pads with black; here the picture covers the frame
and what is too much is cut off. `bars=True` gives the reference's picture, for comparison with it. Both resize
as Pillow does: a triangle as wide as the reduction, in fixed point, across first and then down.
Sizes are (width, height).
"""

from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liveavatar.errors import OptionError, PortraitError
from liveavatar.frames import Picture

FrameSize = tuple[int, int]

SIDE_DIVISOR = 64
"""Sides of a frame are multiples of this: of 8 for the latent, times 8 for the widest patch of past latents."""

_SCALE_TRIES = 100
_WEIGHT_BITS = 22  # of a weight's fraction


def fit_frame_size(portrait: FrameSize, max_pixels: int) -> FrameSize:
    """The size of the frames for a portrait: near its shape, of whole patches, at most `area` pixels.

    A small portrait is not enlarged beyond the next multiple of 64.

    Raises:
        OptionError: the area holds no frame of that shape.
    """
    width, height = portrait
    largest, smallest = _find_scale_range(width, height, max_pixels)
    for attempt in range(_SCALE_TRIES):
        scale = largest - (largest - smallest) * attempt / _SCALE_TRIES
        across, down = _round_up_side(int(width * scale)), _round_up_side(int(height * scale))
        if 0 < across * down <= max_pixels:
            return across, down
    raise OptionError(
        f"no frame of the portrait's shape fits into {max_pixels} pixels", "use a larger --size"
    )


def _find_scale_range(width: int, height: int, max_pixels: int) -> tuple[float, float]:
    """The scales between which to look, from the largest down."""
    pixels = width * height
    if pixels <= max_pixels:
        return 1.0, 0.1
    rounding = SIDE_DIVISOR - 1
    b, c = rounding * (width + height), rounding**2 - max_pixels
    # the smallest would be exact with 4 for 2; kept, for it decides which sizes come out
    return sqrt(max_pixels / pixels), (sqrt(max(0, b * b - 2 * pixels * c)) - b) / (2 * pixels)


def _round_up_side(side: int) -> int:
    return -(-side // SIDE_DIVISOR) * SIDE_DIVISOR


def frame_portrait(rgb: Picture, size: FrameSize, *, black_bars: bool = False) -> Tensor:
    """The portrait [3, height, width], float32 in -1…1, filling a frame of `size`.

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
    covered = resize_bilinear(rgb, (max(size[0], round(width * scale)), max(size[1], round(height * scale))))
    return _crop_centre(covered, size)


def _add_black_bars(rgb: Picture, size: FrameSize) -> Picture:
    height, width = rgb.shape[:2]
    short, scaled = min(width, height), min(size)
    fitted = resize_bilinear(rgb, (int(scaled * width / short), int(scaled * height / short)))
    missing = [max(0, size[1] - fitted.shape[0]), max(0, size[0] - fitted.shape[1])]
    sides = [(amount // 2, amount - amount // 2) for amount in missing]
    return _crop_centre(np.pad(fitted, [*sides, (0, 0)]), size)


def _crop_centre(rgb: Picture, size: FrameSize) -> Picture:
    """The middle of a picture; where that lies between two pixels, as Python rounds."""
    top, left = round((rgb.shape[0] - size[1]) / 2), round((rgb.shape[1] - size[0]) / 2)
    return rgb[top : top + size[1], left : left + size[0]].copy()


def resize_bilinear(rgb: Picture, size: FrameSize) -> Picture:
    """The picture in another size; where both sides change alike, equal to Pillow's bilinear to the last bit."""
    return _resample_axis(_resample_axis(rgb, 1, size[0]), 0, size[1])


def _resample_axis(rgb: Picture, axis: int, length: int) -> Picture:
    if rgb.shape[axis] == length:
        return rgb
    sources, weights = _triangle_weights(rgb.shape[axis], length)
    spread = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    total = np.full(
        [length if side == axis else n for side, n in enumerate(rgb.shape)], 1 << (_WEIGHT_BITS - 1), np.int32
    )
    for source, weight in zip(sources, weights, strict=True):
        total += rgb.take(source, axis).astype(np.int32) * weight.reshape(spread)
    resampled: Picture = np.clip(total >> _WEIGHT_BITS, 0, 255).astype(np.uint8)
    return resampled


def _triangle_weights(old_length: int, new_length: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """For each tap, which source every new pixel takes and with which weight, both [taps, new]."""
    ratio = old_length / new_length
    reach = max(1.0, ratio)
    centre = (np.arange(new_length) + 0.5) * ratio
    first = np.maximum(0, np.trunc(centre - reach + 0.5)).astype(np.intp)
    end = np.minimum(old_length, np.trunc(centre + reach + 0.5)).astype(np.intp)
    source = first + np.arange((end - first).max())[:, None]
    weight = np.maximum(0.0, 1.0 - np.abs((source - centre + 0.5) * (1.0 / reach))) * (source < end)
    weight /= weight.sum(axis=0)
    return np.minimum(source, old_length - 1), np.floor(weight * (1 << _WEIGHT_BITS) + 0.5).astype(np.int32)

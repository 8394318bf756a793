"""Boxes of whole pixels."""

import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.geometry.arrays import Array, Pixel

PixelBox = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the last two exclusive."""


def slice_box(picture: NDArray[Pixel], box: PixelBox, picture_box: PixelBox = (0, 0, 0, 0)) -> NDArray[Pixel]:
    """A view of the part of `picture` in `box`; the picture itself covers `picture_box` of the frame."""
    (x0, y0, x1, y1), (left, top, *_) = box, picture_box
    return picture[y0 - top : y1 - top, x0 - left : x1 - left]


def pixel_positions(box: PixelBox) -> Array:
    """Positions of the pixels of `box`, [h, w, 2]."""
    x0, y0, x1, y1 = box
    return np.dstack(np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)))


def clip_box(box: tuple[float, float, float, float], size: tuple[int, int]) -> PixelBox:
    """The whole pixels that `box` touches in a picture of `size` (width, height)."""
    x0, y0 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    return x0, y0, min(size[0], int(np.ceil(box[2]))), min(size[1], int(np.ceil(box[3])))


def bound_points(points: Array, margin: float, size: tuple[int, int]) -> PixelBox:
    """The box around `points` [n, 2] and `margin` pixels more on all sides, in a picture of `size`."""
    low, high = points.min(0) - margin, points.max(0) + margin
    return clip_box((float(low[0]), float(low[1]), float(high[0]), float(high[1])), size)


def union_boxes(a: PixelBox, b: PixelBox) -> PixelBox:
    """The smallest box around two boxes."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def intersect_boxes(a: PixelBox, b: PixelBox) -> PixelBox:
    """The pixels that two overlapping boxes share."""
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])

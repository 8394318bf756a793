"""Float32 arrays, and the functions on them that all of this engine uses."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]
"""The type of all coordinates, fields and masks of this engine."""

Pixel = TypeVar("Pixel", np.uint8, np.float32)


def as_float32(values: ArrayLike) -> Array:
    """`values` as float32."""
    return np.asarray(values, np.float32)


def smoothstep(values: ArrayLike, start: float, end: float) -> Array:
    """0 up to `start`, 1 from `end` on, a cubic with level ends in between."""
    t = np.clip((np.asarray(values) - start) / (end - start), 0, 1)
    return as_float32(t * t * (3 - 2 * t))


def remap_image(
    image: NDArray[Pixel], positions: Array, interpolation: int, *, transparent_outside: bool = False
) -> NDArray[Pixel]:
    """`image` sampled at `positions` [h, w, 2]; outside, its edges are repeated, or zero if `transparent_outside`."""
    border = cv2.BORDER_CONSTANT if transparent_outside else cv2.BORDER_REPLICATE
    moved = cv2.remap(image, positions, None, interpolation, borderMode=border)  # type: ignore[call-overload]
    return np.asarray(moved, image.dtype)

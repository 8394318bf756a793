"""Pictures made of one portrait: turned, scaled, set into other pictures."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture


def scaled(rgb: Picture, scale: float) -> Picture:
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=how), np.uint8)


def turned(rgb: Picture, degrees: float) -> tuple[Picture, NDArray[np.float64]]:
    """Turned clockwise about its middle, and the affine map [2, 3] that carries points along."""
    height, width = rgb.shape[:2]
    matrix = np.asarray(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1))
    picture = cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picture, np.uint8), matrix.astype(np.float64)


def canvas(width: int, height: int) -> Picture:
    """A quiet background."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([90 + x * 30 // width, 110 + y * 30 // height, np.full_like(x, 120)], axis=-1).astype(
        np.uint8
    )


def paste(onto: Picture, rgb: Picture, left: int, top: int) -> Picture:
    result = onto.copy()
    result[top : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb
    return result

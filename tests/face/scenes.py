"""Test pictures from one portrait: rotated, scaled, pasted into others."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture


def scale_picture(rgb: Picture, scale: float) -> Picture:
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=interpolation), np.uint8)


def rotate_picture(rgb: Picture, degrees: float) -> tuple[Picture, NDArray[np.float64]]:
    """`rgb` rotated clockwise about its centre, and the affine matrix [2, 3] that maps its points."""
    height, width = rgb.shape[:2]
    matrix = np.asarray(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1))
    picture = cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picture, np.uint8), matrix.astype(np.float64)


def draw_background(width: int, height: int) -> Picture:
    """A smooth background."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([90 + x * 30 // width, 110 + y * 30 // height, np.full_like(x, 120)], axis=-1).astype(
        np.uint8
    )


def paste_picture(onto: Picture, rgb: Picture, left: int, top: int) -> Picture:
    result = onto.copy()
    result[top : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb
    return result

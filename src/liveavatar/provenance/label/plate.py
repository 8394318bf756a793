"""A text on a dark plate, and how it is blended into a frame."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from liveavatar.frames import Picture

Patch = NDArray[np.float32]
"""Grey level and opacity, 0…1: float32 [height, width, 2]."""

_PLATE_OPACITY = 0.66
_PLATE_GREY, _TEXT_GREY = 16, 255
_OVERSAMPLING = 4


def draw_plate(ink: Picture, padding_share: float) -> Patch:
    """A plate with a text, from its mask; the padding around it is relative to the height of the mask."""
    padding = max(2, round(padding_share * ink.shape[0]))
    strongest = max(1, int(ink.max()))  # lines below a pixel would be pale
    text = np.pad(ink, padding).astype(np.float32) / strongest
    height, width = text.shape
    canvas = Image.new("L", (_OVERSAMPLING * width, _OVERSAMPLING * height))
    box = (0, 0, canvas.width - 1, canvas.height - 1)
    ImageDraw.Draw(canvas).rounded_rectangle(box, _OVERSAMPLING * padding * 0.8, 255)
    plate = cv2.resize(np.asarray(canvas), (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)
    alpha = text + (1 - text) * plate * _PLATE_OPACITY
    ground = (1 - text) * plate * _PLATE_OPACITY * _PLATE_GREY
    grey = (text * _TEXT_GREY + ground) / np.maximum(alpha, 1e-6)
    return np.stack([grey, alpha], axis=-1).astype(np.float32)


def blend_patch(rgb: Picture, patch: Patch, box: tuple[slice, slice], opacity: float = 1.0) -> Picture:
    """A copy of a frame, uint8 [height, width, 3], with a patch in a box of its size; opacity 0 is invisible."""
    blended = rgb.copy()
    grey, alpha = patch[..., :1], opacity * patch[..., 1:]
    ground = blended[box]
    blended[box] = np.rint(ground + alpha * (grey - ground)).astype(np.uint8)
    return blended


def blend_patch_over_transparency(
    rgb: Picture, shown: NDArray[np.uint8], patch: Patch, box: tuple[slice, slice], opacity: float = 1.0
) -> tuple[Picture, NDArray[np.uint8]]:
    """Copies of a frame that is not premultiplied, and of its opacity `shown`, with a patch over both."""
    blended, covered = rgb.copy(), shown.copy()
    grey, alpha = patch[..., :1], opacity * patch[..., 1:]
    ground = (1 - alpha) * (shown[box][..., None] / np.float32(255))
    both = alpha + ground
    colour = (alpha * grey + ground * rgb[box]) / np.maximum(both, 1e-6)
    blended[box] = np.rint(colour).astype(np.uint8)
    covered[box] = np.rint(255 * both[..., 0]).astype(np.uint8)
    return blended, covered

"""Infilling: colours of hidden pixels, continued smoothly from known ones."""

import cv2
import numpy as np

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array


def infill_colours(rgb: Picture, known: Array) -> Picture:
    """`rgb` where `known` [h, w] is 1, and the colours of the nearest known pixels where it is 0.

    Pull-push over an image pyramid: Gortler et al., "The Lumigraph", SIGGRAPH 1996.
    """
    height, width = known.shape
    weighted = np.dstack([rgb.astype(np.float32) * known[..., None], known])
    if min(height, width) <= 2 or known.min() == 1:
        mean = weighted.sum((0, 1)) / max(float(known.sum()), 1e-6)
        return np.where(known[..., None] > 0, rgb, mean[:3]).astype(np.uint8)
    small = np.asarray(cv2.pyrDown(weighted))
    share = small[..., 3]
    colour = small[..., :3] / np.maximum(share, 1e-6)[..., None]
    coarse = infill_colours(np.clip(colour, 0, 255).astype(np.uint8), (share > 0.05).astype(np.float32))
    fine = np.asarray(cv2.pyrUp(coarse, dstsize=(width, height)))
    return np.where(known[..., None] > 0, rgb, fine).astype(np.uint8)

"""How much person is in each pixel, by MediaPipe's selfie segmentation.

The network sees 256x256 pixels, so it looks twice: at the whole picture, and at head and shoulders alone. The
second look replaces the first where it can, and the seams of both follow the picture's own edges (guided
filter: He, Sun, Tang, ECCV 2010).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.landmarks import Landmarks
from liveavatar.face.models import FloatArray, person_segmenter
from liveavatar.frames import Picture

_SIDE = 256
_SMOOTHNESS = np.float32(1e-4)


def person_matte(rgb: Picture, landmarks: Landmarks) -> NDArray[np.uint8]:
    """Share of person in each pixel of `rgb`, [height, width], 0…255 with soft edges."""
    share = _look(rgb)
    left, top, right, bottom = _head_and_shoulders(rgb.shape, landmarks)
    if (right - left) * (bottom - top) < 0.7 * share.size:
        near = _look(rgb[top:bottom, left:right])
        weight = _fade(rgb.shape, (left, top, right, bottom))
        share[top:bottom, left:right] += weight * (near - share[top:bottom, left:right])
    size = float(np.ptp(landmarks[:, 0]))
    share = _follow_edges(rgb, share, max(2, round(size / 24)))
    return np.asarray(np.clip(share * 255, 0, 255).round(), np.uint8)


def _look(rgb: Picture) -> FloatArray:
    """The network's opinion on `rgb`, at its size."""
    small = np.asarray(cv2.resize(rgb, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    share = person_segmenter()(small)[0].reshape(_SIDE, _SIDE)
    size = (rgb.shape[1], rgb.shape[0])
    return np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_CUBIC), np.float32).clip(0, 1)


def _head_and_shoulders(shape: tuple[int, ...], landmarks: Landmarks) -> tuple[int, int, int, int]:
    """A square of four faces around the head, as far as the picture goes: left, top, right, bottom."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    size = float((high - low).max())
    x, y = (low + high) / 2
    left, top = max(0, round(x - 2 * size)), max(0, round(y - 1.5 * size))
    return left, top, min(shape[1], round(x + 2 * size)), min(shape[0], round(y + 2.5 * size))


def _fade(shape: tuple[int, ...], box: tuple[int, int, int, int]) -> FloatArray:
    """One inside `box`, falling to zero at those of its sides that are not the picture's."""
    left, top, right, bottom = box
    across = _ramp(right - left, left > 0, right < shape[1])
    down = _ramp(bottom - top, top > 0, bottom < shape[0])
    return np.minimum(down[:, None], across[None])


def _ramp(length: int, rising: bool, falling: bool) -> FloatArray:
    steps = np.arange(length, dtype=np.float32) / (0.15 * length)
    ones = np.ones(length, np.float32)
    return np.minimum(np.minimum(steps if rising else ones, steps[::-1] if falling else ones), 1)


def _follow_edges(rgb: Picture, share: FloatArray, radius: int) -> FloatArray:
    """`share` as a local linear function of the picture's brightness over squares of 2·radius + 1."""
    guide = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)

    def mean(values: FloatArray) -> FloatArray:
        return np.asarray(cv2.blur(values, (2 * radius + 1, 2 * radius + 1)), np.float32)

    guide_mean, share_mean = mean(guide), mean(share)
    variance = mean(np.square(guide)) - np.square(guide_mean)
    slope = (mean(guide * share) - guide_mean * share_mean) / (variance + _SMOOTHNESS)
    return mean(slope) * guide + mean(share_mean - slope * guide_mean)

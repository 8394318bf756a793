"""The curves of an open mouth's lips when it is shut.

Lengths are relative to the distance of the mouth's outer corners; constants were chosen by eye on the portraits listed
in `docs/mesh.md`.
"""

import numpy as np

from liveavatar.mesh.geometry.arrays import Array, as_float32, smoothstep
from liveavatar.mesh.lips.lip_contours import MOUTH_PIXELS, POINTS, LipContours

_UPPER_SHARE, _UPPER_DROP = 0.35, 0.07
"""Share of the gap that the upper lip closes, and the most that it comes down."""
_WIDENING, _WIDENING_GAP = 0.25, 0.15
"""Growth of the width with the gap beyond the second: a round mouth is narrower than a shut one."""
_CORNER_DROP = 0.035
"""How far the corners lie below the middle of the seam at most: a shut mouth does not frown."""
_BOW = 1.8
"""Exponent of the seam's height from the middle to the corners."""
_THICKENING, _THICKENING_GAP, _MOST_THICKENING = 0.6, 0.03, 0.5
"""Growth of the lips with the gap beyond the second: lips drawn open are thin."""
_OWN_SHARE = 0.25
"""Share of the upper lip's own shape that the seam keeps."""
_CUPID_HEIGHT, _CUPID_WAVES = 0.005, 1.1
"""Height of the wave in the seam under the middle of the upper lip, and its waves in half a seam."""
_UPRIGHT_RANGE = 0.22
"""Share of half the mouth beside a corner in which lips keep the direction of their thickness."""
_MAX_SLANT = 0.05
_SMOOTHING = (5, 9)

ALONG = np.linspace(-1, 1, POINTS, dtype=np.float32)
"""From -1 at the left corner to 1 at the right one."""


def shut_contours(contours: LipContours, cover: float) -> LipContours:
    """The same lips with their inner curves on one seam, in patch pixels.

    They are thicker by `cover`, which the dark line between them will hide of each.
    """
    width = MOUTH_PIXELS
    seam = _draw_seam(contours, width)
    gap = max(float(contours.gaps[POINTS // 2]) / width, 0.0)
    growth = 1 + _THICKENING * float(np.clip(gap - _THICKENING_GAP, 0, _MOST_THICKENING))
    upper = _attach_outer(contours.outer_upper, contours.inner_upper, seam, -growth, -cover)
    lower = _attach_outer(contours.outer_lower, contours.inner_lower, seam, growth, cover)
    return LipContours(outer_upper=upper, inner_upper=seam, inner_lower=seam, outer_lower=lower)


def _draw_seam(contours: LipContours, width: float) -> Array:
    upper, lower, middle = contours.inner_upper, contours.inner_lower, POINTS // 2
    gap = max(float(contours.gaps[middle]), 0.0)
    x = float(upper[middle, 0] + lower[middle, 0]) / 2
    y = float(upper[middle, 1]) + min(_UPPER_SHARE * gap, _UPPER_DROP * width)
    wide = 1 + _WIDENING * max(0.0, gap / width - _WIDENING_GAP)
    reach = np.where(ALONG < 0, x - upper[0, 0], upper[-1, 0] - x) * wide
    ends = np.where(ALONG < 0, upper[0, 1], upper[-1, 1])
    ends = np.minimum(ends, y + _CORNER_DROP * width)
    height = y + (ends - y) * np.abs(ALONG) ** _BOW
    inside = 1 - ALONG**2
    parabola = np.polyval(np.polyfit(ALONG, upper[:, 1], 2), ALONG)
    own = smooth_rows(as_float32(upper[:, 1] - parabola), _SMOOTHING[1]) * inside
    height += _OWN_SHARE * own / max(1.0, gap / width / _WIDENING)
    height += _CUPID_HEIGHT * width * np.cos(2 * np.pi * _CUPID_WAVES * ALONG) * inside
    return as_float32(np.stack([x + reach * ALONG, height], 1))


def _attach_outer(outer: Array, inner: Array, seam: Array, growth: float, cover: float) -> Array:
    """The outer curve as far from `seam` as from `inner`, upright in the middle; the factor and addend are signed."""
    offset = outer - inner
    thickness = np.linalg.norm(offset, axis=1)
    upright = smoothstep(1 - np.abs(ALONG), 0, _UPRIGHT_RANGE)
    across = np.clip(offset[:, 0], -_MAX_SLANT * MOUTH_PIXELS, _MAX_SLANT * MOUTH_PIXELS) * (
        1 - 0.3 * upright
    )
    tall = growth * np.maximum(np.abs(offset[:, 1]), 0.9 * thickness) + cover
    down = tall * upright + offset[:, 1] * (1 - upright)
    moved = seam + np.stack([across, down], 1)
    return smooth_rows(as_float32(moved), _SMOOTHING[0])


def smooth_rows(values: Array, length: int) -> Array:
    """`values` [n] or [n, c] smoothed along the first axis by a window of `length`."""
    kernel = np.hanning(length + 2)[1:-1]
    kernel /= kernel.sum()
    columns = values.reshape(len(values), -1).T
    smooth = [np.convolve(np.pad(column, length // 2, mode="edge"), kernel, "valid") for column in columns]
    return as_float32(np.stack(smooth, 1).reshape(values.shape))

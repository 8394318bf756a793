"""The upper teeth that a portrait shows, cut out to be drawn behind its lips: a rigid part of the skull.

The lip hides their roots; there they are continued by their mirror image. Their lower edge is a smooth curve through
what is seen. Constants were chosen by eye on the portraits listed in `docs/mesh.md`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image, smoothstep
from liveavatar.mesh.geometry.boxes import PixelBox, pixel_positions
from liveavatar.mesh.lips.inner_edges import LipColours, fill_opening
from liveavatar.mesh.lips.lip_contours import MOUTH_PIXELS, POINTS, LipContours, MouthPatch

_LIGHT_PERCENTILE = 97
"""Percentile of L inside the mouth that is taken for the lightest tooth."""
_MIN_LIGHT_SHARE, _MIN_LIP_SHARE = 0.55, 0.8
"""A tooth has at least the first share of that L, and the second of the lips' L."""
_MIN_PALENESS, _MAX_CHROMA_SHARE = 3.0, 0.75
"""It is less red than the lips by the first, in Lab's a, or has less than the second of their chroma."""
_CLOSING_PIXELS = 7
_MIN_PART_PIXELS, _MIN_HEIGHT, _MIN_COLUMNS = 60, 7, 55
"""Least area of a group of teeth, least height of most columns, and least columns with teeth, patch pixels."""
_MAX_COLOUR_SHARE = 0.7
"""Redness or chroma of all teeth, relative to the lips': seen teeth have up to 0.65, lips taken for teeth from 0.78."""
_START_SPREAD = 8
"""Columns of upper teeth begin so much lower than most of them at most, patch pixels."""
_MAX_START, _MAX_START_SHARE = 22, 0.45
"""Upper teeth begin so many patch pixels, or so much of the opening, below the upper lip at most; lower ones deeper."""
_GAP_START, _GAP_LIGHT = 0.45, 0.72
"""From this share of a column's height on, the first pixel darker than the second relative to the light above ends the
upper teeth: what follows are lower ones."""
_FIT_PASSES, _FIT_NOISE = 6, 0.02
_MEDIAN_COLUMNS = 13
"""Columns over which the height of the teeth is filtered: less than a tooth."""
_ROOT_MARGIN = 1.5
"""Distance from the lip, patch pixels, from which teeth are seen without the lip's blurred rim."""
_SIDE_FADE = 0.05
"""Width over which the outermost teeth fade, relative to the mouth."""
_MIN_EDGE_PIXELS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitTeeth:
    """Teeth that the portrait shows: premultiplied RGB 0…255 and alpha 0…1, [h, w, 4], at pixel `origin`."""

    rgba: Array
    origin: tuple[int, int]
    edge: Array
    """A point on the biting edge in the middle of the mouth, [2], pixels of the picture."""

    @property
    def mean_colour(self) -> Array:
        """Mean colour of the teeth, RGB 0…255."""
        return as_float32(self.rgba[..., :3].sum((0, 1)) / self.rgba[..., 3].sum())

    def sample(self, positions: Array) -> Array:
        """RGBA at portrait positions [h, w, 2]; transparent outside."""
        local = positions - as_float32(self.origin)
        return remap_image(self.rgba, local, cv2.INTER_CUBIC, transparent_outside=True)


def cut_upper_teeth(
    rgb: Picture, patch: MouthPatch, contours: LipContours, colours: LipColours, box: PixelBox
) -> PortraitTeeth | None:
    """The upper teeth in `box` of a portrait whose lips are open along `contours`; None if it shows too few."""
    columns = np.arange(patch.lab.shape[1])
    top = np.interp(columns, contours.inner_upper[:, 0], contours.inner_upper[:, 1])
    bottom = np.interp(columns, contours.inner_lower[:, 0], contours.inner_lower[:, 1])
    teeth = _find_upper_teeth(patch, contours, colours, top, bottom)
    if not _are_clear(teeth, patch.lab, colours):
        return None
    edge, span = _fit_biting_edge(patch.lab[..., 0], teeth, top)
    at = patch.to_patch(pixel_positions(box))
    alpha = _teeth_opacity(at, edge, span, patch.scale)
    source = patch.to_picture(_continue_roots(at, top + _ROOT_MARGIN + 0.8 * patch.scale, edge))
    x = float(contours.inner_upper[POINTS // 2, 0])
    middle = as_float32([x, np.interp(x, columns, edge)])
    colour = as_float32(remap_image(rgb, source, cv2.INTER_CUBIC))
    return PortraitTeeth(
        rgba=as_float32(np.dstack([colour * alpha[..., None], alpha])),
        origin=box[:2],
        edge=patch.to_picture(middle),
    )


def _are_clear(teeth: NDArray[np.bool_], lab: Array, colours: LipColours) -> bool:
    """Whether `teeth` are many enough, and paler than lips: in a blurred picture an inner lip may pass for them."""
    heights = teeth.sum(0)[teeth.any(0)]
    if len(heights) < _MIN_COLUMNS or np.median(heights) < _MIN_HEIGHT:
        return False
    (_, red, yellow), (_, lip_red, lip_yellow) = np.median(lab[teeth], 0), colours.median
    chroma, lip_chroma = np.hypot(red, yellow), np.hypot(lip_red, lip_yellow)
    return bool(red < _MAX_COLOUR_SHARE * lip_red or chroma < _MAX_COLOUR_SHARE * lip_chroma)


def _find_upper_teeth(
    patch: MouthPatch,
    contours: LipContours,
    colours: LipColours,
    top: NDArray[np.float64],
    bottom: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Pixels of the patch that show upper teeth; `top` and `bottom` are the lips' edges in its columns."""
    teeth = _find_tooth_colours(patch, contours, colours, (top + bottom) / 2)
    kernel = np.ones((_CLOSING_PIXELS, _CLOSING_PIXELS))
    closed = cv2.morphologyEx(teeth.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    closed = cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel)
    count, labels = cv2.connectedComponents(closed)
    below = np.arange(len(teeth))[:, None] - top
    found = np.zeros_like(teeth)
    for part in (labels == label for label in range(1, count)):
        start, height = (np.median(row[part.any(0)]) for row in (_find_starts(part, below), bottom - top))
        if part.sum() > _MIN_PART_PIXELS and start < max(_MAX_START, _MAX_START_SHARE * height):
            found |= part
    starts = _find_starts(found, below)
    usual = np.median(starts[found.any(0)]) if found.any() else 0
    return np.asarray(found & (starts < usual + _START_SPREAD))


def _find_tooth_colours(
    patch: MouthPatch, contours: LipContours, colours: LipColours, middle: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Pixels between the lips that are light and pale; how light is judged above the row `middle` of each column."""
    light, red, yellow = cv2.split(patch.lab)
    lip_light, lip_red, lip_yellow = colours.median
    opening = fill_opening(contours, light.shape) > 0
    upper = opening & (np.arange(len(light))[:, None] < middle)
    if not upper.any():
        return upper
    lightest = np.percentile(light[upper], _LIGHT_PERCENTILE)
    bright = light > max(_MIN_LIGHT_SHARE * lightest, _MIN_LIP_SHARE * lip_light)
    pale = red < lip_red - _MIN_PALENESS
    pale |= np.hypot(red, yellow) < _MAX_CHROMA_SHARE * np.hypot(lip_red, lip_yellow)
    return np.asarray(opening & bright & pale)


def _find_starts(mask: NDArray[np.bool_], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least of `below` [h, w] in each column of `mask`, infinite in an empty one, [w]."""
    return np.asarray(np.where(mask, below, np.inf).min(0))


def _fit_biting_edge(
    light: Array, teeth: NDArray[np.bool_], top: NDArray[np.float64]
) -> tuple[Array, tuple[int, int]]:
    """Height of the biting edge in each column of the patch, and the first and last column with teeth."""
    columns = np.arange(len(top))
    filled = columns[teeth.any(0)]
    ends = np.where(teeth, np.arange(len(teeth))[:, None], -1).max(0).astype(float)
    for column in filled:
        ends[column] = _skip_lower_teeth(light[:, column], int(top[column]) + 1, int(ends[column]))
    heights = ends[filled] - top[filled]
    first, last = int(filled[0]), int(filled[-1])
    along = (filled - (first + last) / 2) / ((last - first) / 2 + 1)
    weight = np.ones(len(filled))
    for _ in range(_FIT_PASSES):
        curve = np.polyval(np.polyfit(along, heights, 3 if len(filled) > 40 else 1, w=weight), along)
        weight = 1 / (1 + ((heights - curve) / (2 + _FIT_NOISE * MOUTH_PIXELS)) ** 2)
    steady = np.clip(_filter_median(heights), 0.85 * curve - 1, curve + 0.3)
    return as_float32(np.interp(columns, filled, top[filled] + steady)), (first, last)


def _filter_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The running median of `values` [n] over `_MEDIAN_COLUMNS`."""
    padded = np.pad(values, _MEDIAN_COLUMNS // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN_COLUMNS), 1))


def _skip_lower_teeth(light: Array, start: int, end: int) -> float:
    """The row in which the upper tooth of a column ends that is light from `start` to `end`."""
    column = light[start : end + 1]
    if len(column) <= 8:
        return end
    peak = np.percentile(column[: max(4, len(column) // 2)], 80)
    first = int(_GAP_START * len(column))
    dark = np.flatnonzero(column[first:] < _GAP_LIGHT * peak)
    return start + first + int(dark[0]) if len(dark) else end


def _teeth_opacity(at: Array, edge: Array, span: tuple[int, int], scale: float) -> Array:
    """Opacity at patch positions `at` [h, w, 2]."""
    smooth = cv2.GaussianBlur(edge[None], (0, 0), 0.5 * scale + 0.4)[0]
    u, v = at[..., 0], at[..., 1]
    below = np.interp(u, np.arange(len(smooth)), smooth) + 0.5 - v
    soft = max(_MIN_EDGE_PIXELS, 0.9 * scale)
    fade = max(5.0, _SIDE_FADE * MOUTH_PIXELS)
    side = np.minimum(u - span[0], span[1] - u) + 0.3 * fade
    return smoothstep(below, -soft / 2, soft / 2) * smoothstep(side, 0, fade)


def _continue_roots(at: Array, visible: NDArray[np.float64], edge: Array) -> Array:
    """Patch positions to take colours from: above `visible` teeth are mirrored, at most to half of their height."""
    columns = np.arange(len(visible))
    first = np.interp(at[..., 0], columns, visible)
    height = np.maximum(np.interp(at[..., 0], columns, edge) - first, 0)
    hidden = np.maximum(first - at[..., 1], 0)
    mirrored = first + np.minimum(hidden, 0.5 * height)
    return as_float32(np.dstack([at[..., 0], np.where(hidden > 0, mirrored, at[..., 1])]))

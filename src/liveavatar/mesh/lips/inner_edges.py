"""The true inner edges of open lips, by colour.

Landmarks alone are two or three pixels off, enough to leave a rim of teeth on a lip. Along lines from the inner to the
outer curve of each lip, the edge lies where the colours of the opening end and those of the lip begin; dynamic
programming keeps the edge smooth (Amini, Weymouth and Jain, IEEE TPAMI 12(9), 1990).

Constants were chosen by eye on the portraits listed in `docs/mesh.md`. Lengths are patch pixels.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image, smoothstep
from liveavatar.mesh.lips.colour_mixture import ColourMixture
from liveavatar.mesh.lips.lip_contours import POINTS, LipContours, MouthPatch

_CORE_EROSION = 0.12
"""Erosion of the landmarks' opening to its certain core, relative to its height."""
_MIN_CORE_PIXELS = 150
_MAX_CORE_SAMPLES = 3000
_LIP_SPANS = ((0.38, 0.85), (0.5, 0.92))
"""Part of the upper and of the lower lip's thickness whose colours are lip: nearer the edge lie teeth."""
_LIP_SAMPLES, _CORNER_POINTS = 14, 6
"""Samples across a lip, and points beside the corners that are left out."""
_LIP_COMPONENTS, _OPENING_COMPONENTS = (3, 2), 4
_TOOTH_SHARES, _TOOTH_LIGHT = (1.0, 0.35, 0.8), 14.0
"""A tooth beside a lip: shares of the lip's L, a and b, and L added to it."""
_DARK_SHARES = (0.35, 0.7, 0.6)
"""Dark beside a lip: shares of its L, a and b."""
_PRIOR_DEVIATIONS = ((15.0, 4.0, 8.0), (9.0, 6.0, 6.0))
_PRIOR_WEIGHT = 0.2
_STEPS = 49
_SEARCH = (-0.5, 0.75)
"""Range of the search from the landmarks' edge into the lip, relative to the median thickness of the lip."""
_INWARD_SHARES = (0.1, 0.15)
"""How far the edge of the upper and of the lower lip may lie inside the landmarks' opening, relative to its height."""
_MAX_INWARD = 0.25
"""The same, relative to the thickness of the lip."""
_MAX_EVIDENCE = 4.0
"""Limit of a pixel's log-likelihood ratio."""
_LANDMARK_WEIGHT, _LANDMARK_RANGE = 1.2, 0.35
"""Cost of the landmarks' error, and the error, relative to the thickness, at which it counts fully."""
_STIFFNESS = 4.0
_CORNER_TRUST = 9.0
"""Growth of the trust in the picture with the distance from the corners, per half width."""
_MARGIN = 0.9
"""The edge is moved into the lip by so many pixels times the square root of the scale: teeth have blurred rims."""
_WET_MARGIN, _WET_START, _WET_RANGE = 0.10, 0.12, 0.15
"""Further margin of a lower lip that teeth were found on, relative to its thickness."""
_SMOOTHING = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class LipColours:
    """Lab colours [n, 3] of the upper and of the lower lip."""

    upper: Array
    lower: Array

    @property
    def median(self) -> Array:
        """The median of both, [3]."""
        return as_float32(np.median(np.vstack([self.upper, self.lower]), 0))


def refine_inner_edges(contours: LipContours, patch: MouthPatch) -> tuple[LipContours, LipColours]:
    """`contours` with both inner curves moved to where the lips end in the picture, and the lips' colours."""
    lab = as_float32(cv2.GaussianBlur(patch.lab, (0, 0), max(0.8, 0.4 * patch.scale)))
    opening = ColourMixture.fit_colours(_sample_core(lab, contours), _OPENING_COMPONENTS)
    edges: list[Array] = []
    colours: list[Array] = []
    sides = (
        (contours.inner_upper, contours.outer_upper, contours.inner_lower),
        (contours.inner_lower, contours.outer_lower, contours.inner_upper),
    )
    for side, (inner, outer, other) in enumerate(sides):
        lip = _sample_lip(lab, inner, outer, _LIP_SPANS[side])
        mixtures = _add_priors(opening, lip), ColourMixture.fit_colours(lip, _LIP_COMPONENTS[side])
        gap = np.linalg.norm(other - inner, axis=1)
        shift, across, thickness = _cut_side(
            lab, mixtures, inner, outer, _INWARD_SHARES[side] * gap, patch.scale
        )
        margin = _MARGIN * patch.scale**0.5 * _corner_trust()
        if side == 1:
            deep = smoothstep(shift / np.maximum(thickness, 1), _WET_START, _WET_START + _WET_RANGE)
            margin = margin + _WET_MARGIN * thickness * deep
        edges.append(as_float32(inner + across * (shift + margin)[:, None]))
        colours.append(lip)
    refined = replace(contours, inner_upper=edges[0], inner_lower=edges[1])
    return refined, LipColours(upper=colours[0], lower=colours[1])


def fill_opening(contours: LipContours, size: tuple[int, int]) -> NDArray[np.uint8]:
    """1 between the inner curves, uint8 of `size` (height, width)."""
    mask: NDArray[np.uint8] = np.zeros(size, np.uint8)
    outline = np.vstack([contours.inner_upper, contours.inner_lower[::-1]])
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask


def _sample_core(lab: Array, contours: LipContours) -> Array:
    """Colours in the middle of the landmarks' opening, [n, 3]."""
    opening = fill_opening(contours, lab.shape[:2])
    height = float(np.percentile(np.abs(contours.gaps), 90))
    core = cv2.erode(opening, np.ones((3, 3)), iterations=max(1, round(_CORE_EROSION * height)))
    if core.sum() < _MIN_CORE_PIXELS:
        core = opening
    inside = lab[core > 0]
    return np.ascontiguousarray(inside[:: max(1, len(inside) // _MAX_CORE_SAMPLES)])


def _sample_lip(lab: Array, inner: Array, outer: Array, span: tuple[float, float]) -> Array:
    """Colours across a lip without rims of teeth and dark gaps, [n, 3]."""
    shares = np.linspace(*span, _LIP_SAMPLES)
    at = inner[:, None] + (outer - inner)[:, None] * shares[None, :, None]
    colours = _sample_patch(lab, as_float32(at[_CORNER_POINTS:-_CORNER_POINTS])).reshape(-1, 3)
    middle = np.median(colours, 0)
    spread = np.median(np.abs(colours - middle), 0) + 1
    red = colours[:, 1] > middle[1] - 3 * spread[1]
    return as_float32(colours[red & (np.abs(colours[:, 0] - middle[0]) < 4 * spread[0] + 6)])


def _add_priors(opening: ColourMixture, lip: Array) -> ColourMixture:
    """The colours of the opening with those of teeth and dark beside this lip, whether or not its core shows any."""
    middle = np.median(lip, 0)
    tooth = middle * _TOOTH_SHARES + [_TOOTH_LIGHT, 0, 0]
    means = as_float32(np.stack([tooth, middle * _DARK_SHARES]))
    return opening.add_components(_PRIOR_WEIGHT, means, as_float32(_PRIOR_DEVIATIONS))


def _cut_side(
    lab: Array,
    mixtures: tuple[ColourMixture, ColourMixture],
    inner: Array,
    outer: Array,
    inward: Array,
    scale: float,
) -> tuple[Array, Array, Array]:
    """The edge of one lip: its distance from `inner` towards `outer` [n], that direction [n, 2], the thickness [n].

    `mixtures` are those of the opening and of the lip; `inward` [n] is how far inside `inner` the edge may lie.
    """
    across = outer - inner
    thickness = as_float32(np.linalg.norm(across, axis=1))
    across = as_float32(across / np.maximum(thickness, 1e-3)[:, None])
    usual = float(np.median(thickness))
    distance = np.linspace(_SEARCH[0] * usual, _SEARCH[1] * usual, _STEPS, dtype=np.float32)
    colours = _sample_patch(lab, as_float32(inner[:, None] + across[:, None] * distance[None, :, None]))
    opening, lip = mixtures
    evidence = np.clip(
        lip.log_likelihood(colours) - opening.log_likelihood(colours), -_MAX_EVIDENCE, _MAX_EVIDENCE
    )
    step = float(distance[1] - distance[0])
    inside = np.cumsum(evidence, 1)
    cost = (2 * inside - inside[:, -1:]) * step / scale
    cost = cost + _LANDMARK_WEIGHT * (distance / (_LANDMARK_RANGE * usual)) ** 2 * step / scale
    outside = (distance < -inward[:, None] - 0.5) | (distance < -_MAX_INWARD * usual)
    outside |= distance > _SEARCH[1] * thickness[:, None] + 1
    bend = _STIFFNESS * np.square(distance[:, None] - distance[None]) / scale
    found = distance[_find_path(np.where(outside, 1e4, cost), bend)]
    kernel = np.hanning(_SMOOTHING + 2)[1:-1]
    padded = np.pad(found * _corner_trust(), _SMOOTHING // 2, mode="edge")
    return as_float32(np.convolve(padded, kernel / kernel.sum(), "valid")), across, thickness


def _find_path(cost: Array, bend: Array) -> NDArray[np.intp]:
    """The cheapest column in each row of `cost` [n, k], with `bend` [k, k] between neighbours, [n]."""
    total, back = cost[0], []
    for row in cost[1:]:
        through = total[None] + bend
        back.append(through.argmin(1))
        total = through.min(1) + row
    path = [int(total.argmin())]
    for step in reversed(back):
        path.append(int(step[path[-1]]))
    return np.array(path[::-1])


def _corner_trust() -> Array:
    """0 at the corners of the mouth, 1 a little beside them, [POINTS]."""
    return as_float32(np.clip(_CORNER_TRUST * (1 - np.abs(np.linspace(-1, 1, POINTS))), 0, 1))


def _sample_patch(lab: Array, at: Array) -> Array:
    return remap_image(lab, at, cv2.INTER_LINEAR)

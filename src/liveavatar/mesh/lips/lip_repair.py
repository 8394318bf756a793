"""Repair the picture of lips that did not shut well: paint over what is no lip on them, and what is lip beside them.

The plainer way for mouths of which parts are stretched, as the sides of a shout's lower lip, or which show a tongue, a
crooked far side, or a strand of beard. Large patches of colour are filled in from around; the picture's own grain
stays. Constants were chosen by eye on the portraits listed in `docs/mesh.md`; lengths are relative to the mouth's
width.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image, smoothstep
from liveavatar.mesh.lips.closed_contours import smooth_rows
from liveavatar.mesh.lips.colour_mixture import ColourMixture
from liveavatar.mesh.lips.inner_edges import LipColours
from liveavatar.mesh.lips.lip_contours import MOUTH_PIXELS, PATCH_SIZE, LipContours, MouthPatch

_OUTLINE_SMOOTHING = 25
"""Points over which the thickness of a lip is smoothed."""
_REACH, _SKIN_START, _SKIN_END = 0.38, 0.1, 0.4
"""How far from the lips stray colours are sought, and the ring around them whose colours are skin."""
_LIP_COMPONENTS, _SKIN_COMPONENTS, _MAX_SAMPLES = 3, 3, 3000
_STRAY_EVIDENCE = 0.5
"""Log-likelihood ratio from which a colour beside the lips is lip's."""
_FOREIGN_DISTANCE = 3.0
"""Standard deviations from the lips' colours beyond which something on them is no lip."""
_MIN_VARIANCES = (60.0, 12.0, 12.0)
"""Variances of a lip's colours in Lab at least: lips are shaded."""
_GROWTH, _SPECK, _FEATHER, _GRAIN_SIGMA = 0.03, 0.015, 0.012, 0.02
"""Growth of what is painted over, and specks that are not; softness of its edge; size of the detail that stays."""


def even_outlines(shut: LipContours) -> LipContours:
    """`shut` with lips whose thickness changes smoothly, and alike on both sides."""

    def even_outline(outer: Array) -> Array:
        thick = outer - shut.inner_upper
        mirrored = thick[::-1] * as_float32([-1, 1])
        smooth = smooth_rows(as_float32((thick + mirrored) / 2), _OUTLINE_SMOOTHING)
        along = np.abs(np.linspace(-1, 1, len(outer)))[:, None]
        return as_float32(shut.inner_upper + smooth * np.sqrt(np.clip(1 - along**4, 0, 1)))

    return LipContours(
        outer_upper=even_outline(shut.outer_upper),
        inner_upper=shut.inner_upper,
        inner_lower=shut.inner_lower,
        outer_lower=even_outline(shut.outer_lower),
    )


def repair_lips(
    rgb: Picture, at: Array, patch: MouthPatch, shut: LipContours, colours: LipColours
) -> Picture:
    """`rgb` [h, w, 3], whose pixels lie at picture positions `at` [h, w, 2], with plain lips along `shut`."""
    places = patch.to_patch(at)
    lips, beyond = (remap_image(mask, places, cv2.INTER_LINEAR) for mask in _measure_distances(shut))
    lab = _to_soft_lab(rgb, patch.scale)
    is_lip = lips > 0
    ring = (beyond > _SKIN_START * MOUTH_PIXELS) & (beyond < _SKIN_END * MOUTH_PIXELS)
    skin = ColourMixture.fit_colours(_take_samples(lab[ring]), _SKIN_COMPONENTS)
    lip = ColourMixture.fit_colours(_take_samples(np.vstack([colours.upper, colours.lower])), _LIP_COMPONENTS)
    evidence = lip.log_likelihood(lab) - skin.log_likelihood(lab)
    seam = np.interp(places[..., 0], shut.inner_lower[:, 0], shut.inner_lower[:, 1])
    below = ~is_lip & (beyond < _REACH * MOUTH_PIXELS) & (places[..., 1] > seam)
    stray = _keep_connected(below & (evidence > _STRAY_EVIDENCE), is_lip)
    foreign = is_lip & (_measure_foreignness(lab, colours) > _FOREIGN_DISTANCE)
    pixel = MOUTH_PIXELS / patch.scale
    repaired = _paint_over(rgb, _grow_mask(stray, pixel) & ~is_lip, is_lip, pixel)
    return _paint_over(repaired, _grow_mask(foreign, pixel) & is_lip, ~is_lip, pixel)


def _measure_distances(shut: LipContours) -> tuple[Array, Array]:
    """Distances in the patch from the outside within the lips, and from the lips outside them, patch pixels, [h, w]."""
    mask: NDArray[np.uint8] = np.zeros(PATCH_SIZE[::-1], np.uint8)
    outline = np.rint(np.vstack([shut.outer_upper, shut.outer_lower[::-1]])).astype(np.int32)
    cv2.fillPoly(mask, [outline], 1)
    within, beyond = (cv2.distanceTransform(one, cv2.DIST_L2, 5) for one in (mask, 1 - mask))
    return as_float32(within), as_float32(beyond)


def _to_soft_lab(rgb: Picture, scale: float) -> Array:
    lab = cv2.cvtColor(as_float32(rgb) / np.float32(255), cv2.COLOR_RGB2Lab)
    return as_float32(cv2.GaussianBlur(lab, (0, 0), max(0.6, 1.2 / scale)))


def _take_samples(colours: Array) -> Array:
    return np.ascontiguousarray(colours[:: max(1, len(colours) // _MAX_SAMPLES)])


def _measure_foreignness(lab: Array, colours: LipColours) -> Array:
    """Distance of each colour from those of the nearer lip, in standard deviations, [h, w]."""
    away = []
    for lip in (colours.upper, colours.lower):
        spread = np.maximum(lip.var(0), _MIN_VARIANCES)
        away.append(np.sqrt((np.square(lab - np.median(lip, 0)) / spread).sum(-1)))
    return as_float32(np.minimum(*away))


def _keep_connected(mask: NDArray[np.bool_], core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of `mask` that touch `core`."""
    _, labels = cv2.connectedComponents(np.asarray(mask | core, np.uint8))
    return np.asarray(mask & np.isin(labels, np.unique(labels[core])))


def _grow_mask(mask: NDArray[np.bool_], pixel: float) -> NDArray[np.bool_]:
    """`mask` without specks, and grown over its soft rim; `pixel` is the mouth's width in pixels."""
    speck, growth = (2 * max(1, round(share * pixel)) + 1 for share in (_SPECK, _GROWTH))
    kernels = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)) for side in (speck, growth))
    small, large = kernels
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, small)
    return np.asarray(cv2.dilate(opened, large) > 0)


def _paint_over(rgb: Picture, mask: NDArray[np.bool_], other: NDArray[np.bool_], pixel: float) -> Picture:
    """`rgb` with `mask` filled from what is around it, but not from `other`; its grain stays."""
    if not mask.any():
        return rgb
    hole = np.asarray(mask | other, np.uint8)
    filled = cv2.inpaint(rgb, hole, max(2.0, _SPECK * pixel), cv2.INPAINT_TELEA)
    sigma = max(0.8, _GRAIN_SIGMA * pixel)
    broad = cv2.GaussianBlur(as_float32(filled), (0, 0), sigma)
    grain = as_float32(rgb) - cv2.GaussianBlur(as_float32(rgb), (0, 0), 0.5 * sigma)
    share = cv2.GaussianBlur(as_float32(mask), (0, 0), max(0.6, _FEATHER * pixel))[..., None]
    share = smoothstep(share, 0.2, 0.8)
    mixed = rgb * (1 - share) + (broad + np.clip(grain, -4, 4)) * share
    return np.asarray(np.rint(np.clip(mixed, 0, 255)), np.uint8)

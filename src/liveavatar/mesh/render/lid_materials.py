"""What closed lids are made of: skin without the eye, the tone of a lid, its grain and the lashes.

Everything is found once in the window of an eye. Lengths are relative to the eye's width. Constants without a source
were chosen by eye on the portraits listed in `docs/mesh.md`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.render.eye_window import LUMA, EyeWindow
from liveavatar.mesh.render.infill import infill_colours

_EYE_MARGIN, _CORNER_MARGINS, _CORNER_EXTENT, _END_REACH = 0.06, (0.05, 0.04), 0.3, 0.12
"""How far eye and lashes reach beyond the landmarks of the lids; what is added above and below at the corners; how far
the corners reach inwards; and how far the eye reaches beyond the corners."""
_SKIN_LUMA = 0.52, 1.7
"""Luma of skin relative to the median around the eye. Frames and brows are darker, reflections lighter."""
_ZONE_START, _ZONE_REACH, _UNLIKE_SHARE = 0.2, 0.25, 0.2
"""Where an eye may reach beyond its landmarks: from which part of the way from crease to lid, and how far beyond the
corners; and how much what belongs to it differs from skin, relative to its luma."""
_HUE_RANGE = 0.45
"""Largest difference of a skin's red, green or blue, relative to luma, from the median around the eye."""
_SURE_EYE = 0.03
"""Distance inwards from the corners from which nothing but the eye is between the lids: frames cross the corners."""
_FRINGE = 0.035
"""Width of the soft edges of brows, frames and lashes, whose tone is no skin's."""
_FEATHER = 0.025
"""Width over which infilled skin becomes the portrait's own, and its distance from what it hides."""
_CLEAN_LUMA, _CLEAN_REACH = 0.72, 0.35
"""Least luma of the skin that gives a lid its tone, relative to the median within this distance from the lids: deeper
shadows are the socket's, and are not pulled over the eye."""
_LID_CHROMA, _LID_GAIN = 0.8, 1.1
"""Chroma of a lid relative to the skin around; how much lighter it may be than the skin it replaces."""
_CREASE_LOSS = 0.7
"""Share of the crease's darkness that stretches away as the lid comes down."""
_GRAIN_SHARE, _MAX_GRAIN = 0.6, 4.0
"""Grain of a lid relative to that of the cheek, and the most of the latter, grey levels."""
_LASH_BAND, _LASH_PERCENTILE, _LASH_LUMA, _MIN_LASH_STRENGTH = (0.05, 0.012), 12, 0.55, 0.75
"""Where lashes are looked for, above and below the upper lid's landmarks; which of the darkest are taken; their largest
luma relative to skin, and least opacity."""
_LASH_BINS = 24

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class LidMaterials:
    """Materials over an `EyeWindow`, 0…255.

    `skin` [h, w, 3] is the picture without eye and lashes, `upper_skin` the same with its crease softened, `lid`
    [h, w, 3] the smooth tone of a closed lid, `grain` [h, w, 1] what is added to it. `crease` and `cheek` [h, w] are
    the curves beyond which nothing moves, clear of glasses. `fixed` [h, w], 0…1, is what stays in a blink; `softness`
    the width of the sharpest edges. `lash_colour` [3] and `lash_strength` [h, w], 0…1.
    """

    skin: Array
    upper_skin: Array
    lid: Array
    grain: Array
    crease: Array
    cheek: Array
    fixed: Array
    softness: float
    lash_colour: Array
    lash_strength: Array

    @classmethod
    def from_window(cls, window: EyeWindow) -> "LidMaterials":
        """Find the materials of one eye."""
        crease, _, lower, cheek = window.curves
        picture = as_float32(window.rgba[..., :3])
        near = _near_landmarks(window)
        foreign = _find_foreign(window, picture, near)
        near &= ~foreign
        eye = _grow_eye(window, picture, near, foreign)
        skin = _infill_pixels(picture, eye | foreign | (window.rgba[..., 3] < 255))
        share = window.blur_image(as_float32(_dilate_mask(eye, window.texels * _FEATHER)), _FEATHER)[
            ..., None
        ]
        skin = share * window.blur_image(skin, 0.02) + (1 - share) * picture
        dark_lines = np.clip(window.blur_image(skin, 0.06) - skin, 0, None)
        moving = ((window.v > crease) & (window.v < lower))[..., None]
        upper_skin = as_float32(skin + _CREASE_LOSS * dark_lines * moving)
        lash_colour, lash_strength = _measure_lashes(window, picture, as_float32(skin), near)
        return cls(
            skin=as_float32(skin),
            upper_skin=upper_skin,
            lid=_build_lid_tone(window, picture, upper_skin, eye, foreign),
            grain=_draw_grain(window, picture),
            crease=_clear_crease(window, foreign),
            cheek=cheek,
            fixed=_fade_foreign(window, foreign, near),
            softness=_measure_softness(window, picture @ LUMA, near),
            lash_colour=lash_colour,
            lash_strength=lash_strength,
        )


def _near_landmarks(window: EyeWindow) -> Mask:
    """Where eyeball, lashes and the edges of the lids are by the landmarks."""
    _, upper, lower, _ = window.curves
    corner = np.clip(1 - window.from_corner / _CORNER_EXTENT, 0, 1)
    above, below = (_EYE_MARGIN + more * corner for more in _CORNER_MARGINS)
    inside = (window.v > upper - above) & (window.v < lower + below)
    return np.asarray(inside & (window.from_corner > -_END_REACH), np.bool_)


def _find_foreign(window: EyeWindow, picture: Array, near: Mask) -> Mask:
    """What is no skin and does not belong to the eye: frames of glasses with their reflections, brows, hair.

    Such parts reach the edge of the window; lashes beyond the landmarks do not.
    """
    crease, _, _, cheek = window.curves
    luma = picture @ LUMA
    around = ~near & (window.v > crease) & (window.v < cheek)
    median = np.median(luma[around]) if around.any() else 128.0
    low, high = (share * median for share in _SKIN_LUMA)
    found = (luma < low) | (luma > high) | _differ_in_hue(picture, luma, around)
    sure = near & (window.from_corner > _SURE_EYE)
    found &= ~sure
    _, labels = cv2.connectedComponents(found.astype(np.uint8), connectivity=8)
    rim = np.concatenate(
        [labels[:2].ravel(), labels[-2:].ravel(), labels[:, :2].ravel(), labels[:, -2:].ravel()]
    )
    behind = window.rgba[..., 3] < 255
    foreign = _dilate_mask(found & np.isin(labels, rim), _FRINGE * window.texels)
    return (foreign & ~sure) | _dilate_mask(behind)


def _fade_foreign(window: EyeWindow, foreign: Mask, near: Mask) -> Array:
    """The share of what is no skin, soft at its edges, and none over the eye: nothing of that may stay visible."""
    sure = near & (window.from_corner > _SURE_EYE) & (window.rgba[..., 3] == 255)
    clear = foreign & ~_dilate_mask(sure, 2 * _FEATHER * window.texels)
    return window.blur_image(as_float32(clear), _FEATHER) * as_float32(~sure)


def _differ_in_hue(picture: Array, luma: Array, skin: Mask) -> Mask:
    """Where colours differ from that of `skin` by more than light does: what is seen through glasses beside a face."""
    colour = picture / np.maximum(luma, 1)[..., None]
    usual = np.median(colour[skin], 0) if skin.any() else np.ones(3)
    return np.asarray(np.abs(colour - usual).max(-1) > _HUE_RANGE, np.bool_)


def _grow_eye(window: EyeWindow, picture: Array, near: Mask, foreign: Mask) -> Mask:
    """`near` and what is connected with it and unlike the skin around: lashes, lines of make-up, missed eyeball."""
    crease, upper, _, cheek = window.curves
    zone = (window.v > crease + _ZONE_START * (upper - crease)) & (window.v < cheek)
    zone &= (window.from_corner > -_ZONE_REACH) & ~foreign
    around = _infill_pixels(picture, _dilate_mask(near) | foreign | (window.rgba[..., 3] < 255))
    around = window.blur_image(around, 0.1)
    unlike = np.abs(picture - around).max(-1) > _UNLIKE_SHARE * (around @ LUMA)
    candidates = near | (unlike & zone)
    _, labels = cv2.connectedComponents(candidates.astype(np.uint8), connectivity=4)
    grown = np.isin(labels, np.unique(labels[near & (window.from_corner > 0)])) & candidates
    return near | (_dilate_mask(grown) & zone)


def _measure_softness(window: EyeWindow, luma: Array, near: Mask) -> float:
    """Width of the sharpest edges of the open eye, relative to its width: the resolution of the portrait."""
    inside = near & (window.from_corner > 0)
    if not inside.any():
        return 0.0
    down, right = (
        cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=0.125),
        cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=0.125),
    )
    steepest = float(np.percentile(np.hypot(down, right)[inside], 98))
    low, high = np.percentile(luma[inside], [2, 98])
    return float(high - low) / max(steepest, 1.0) / window.texels


def _dilate_mask(mask: Mask, texels: float = 1) -> Mask:
    """`mask` widened by some texels."""
    side = 2 * max(1, round(texels)) + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0, np.bool_)


def _infill_pixels(picture: Array, hidden: Mask) -> Array:
    rgb = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    return as_float32(infill_colours(rgb, as_float32(~hidden)))


def _clear_crease(window: EyeWindow, foreign: Mask) -> Array:
    """The crease, lowered to below what is no skin above the eye: only what is below it moves."""
    crease, upper, _, _ = window.curves
    highest = (
        upper - _EYE_MARGIN - _CORNER_MARGINS[0] * np.clip(1 - window.from_corner / _CORNER_EXTENT, 0, 1)
    )
    above = foreign & (window.v > crease) & (window.v < highest)
    if not above.any():
        return crease
    columns = np.rint((window.u - window.u.min()) * 40).astype(int)
    lowest = np.full(columns.max() + 1, -1e9, np.float32)
    np.maximum.at(lowest, columns[above], window.v[above])
    lowest = np.asarray(cv2.dilate(lowest[None], np.ones((1, 5), np.uint8)))[0]
    cleared = np.maximum(crease, lowest[columns] + 1 / window.texels)
    cleared = window.blur_image(as_float32(np.minimum(cleared, highest - 0.02)), 0.06)
    return as_float32(np.minimum(cleared, highest - 0.02))


def _build_lid_tone(window: EyeWindow, picture: Array, skin: Array, eye: Mask, foreign: Mask) -> Array:
    """The smooth tone of a closed lid, continued from the well-lit skin around."""
    crease, upper, lower, cheek = window.curves
    luma, v = picture @ LUMA, window.v
    hidden = _dilate_mask(eye, _FRINGE * window.texels) | foreign
    near = ~(eye | foreign) & (v > upper - _CLEAN_REACH) & (v < lower + _CLEAN_REACH)
    least = _CLEAN_LUMA * (np.median(luma[near]) if near.any() else 0.0)
    clean = ~hidden & (luma > least)
    tone = window.blur_image(_infill_pixels(skin, ~clean), 0.06)
    local = window.blur_image(_infill_pixels(skin, hidden), 0.15) @ LUMA
    tone = tone * np.clip(_LID_GAIN * local / np.maximum(tone @ LUMA, 1), 0.6, 1)[..., None]
    reference = clean & (v > crease) & (v < cheek + 0.15)
    colour = np.median(picture[reference], 0) if reference.any() else np.median(picture.reshape(-1, 3), 0)
    colour = as_float32(colour / max(float(colour @ LUMA), 1.0))
    return as_float32((1 - _LID_CHROMA) * tone + _LID_CHROMA * (tone @ LUMA)[..., None] * colour)


def _draw_grain(window: EyeWindow, picture: Array) -> Array:
    """Noise as strong as that of the cheek, [h, w, 1]."""
    _, _, lower, cheek = window.curves
    skin = (window.v > lower + _EYE_MARGIN) & (window.v < cheek + 0.2) & (window.from_corner > 0.1)
    detail = np.abs(picture - cv2.GaussianBlur(picture, (0, 0), 1.0 * window.scale))
    strength = min(1.5 * float(np.median(detail[skin])), _MAX_GRAIN) if skin.any() else 0.0
    noise = np.random.default_rng(7).standard_normal(window.v.shape).astype(np.float32)
    noise = as_float32(cv2.GaussianBlur(noise, (0, 0), 0.45 * window.scale))
    return as_float32(_GRAIN_SHARE * strength * noise / noise.std())[..., None]


def _measure_lashes(window: EyeWindow, picture: Array, skin: Array, eye: Mask) -> tuple[Array, Array]:
    """Colour [3] of the upper lashes, and their strength along the lid [h, w]."""
    above, below = _LASH_BAND
    upper, luma, skin_luma = window.curves[1], picture @ LUMA, skin @ LUMA
    band = (window.v > upper - above) & (window.v < upper + below) & (window.from_corner > 0.05)
    colour = as_float32([20, 15, 15])
    if band.any():
        darkest = luma[band] <= np.percentile(luma[band], _LASH_PERCENTILE)
        colour = as_float32(np.median(picture[band][darkest], 0))
    usual = np.median(skin[eye], 0) if eye.any() else as_float32([100, 100, 100])
    darkness = min(float(colour @ LUMA), _LASH_LUMA * float(usual @ LUMA))
    # Of a small eye the darkest texels are the iris: hue is therefore taken from the skin.
    colour = as_float32(darkness * usual / max(float(usual @ LUMA), 1.0))
    own = np.clip((skin_luma - luma) / np.maximum(skin_luma - colour @ LUMA, 8), 0, 1)
    columns = np.clip((window.u - window.u.min()) / np.ptp(window.u) * _LASH_BINS, 0, _LASH_BINS - 1).astype(
        int
    )
    strength = np.zeros(_LASH_BINS, np.float32)
    np.maximum.at(strength, columns[band], own[band])
    strength = np.convolve(np.pad(strength, 2, mode="edge"), np.full(5, 0.2), "valid")
    return colour, as_float32(np.maximum(strength, _MIN_LASH_STRENGTH)[columns])

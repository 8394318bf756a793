"""Closed lids: pictures of the lids alone at a few closures, prepared once and laid over the open eye.

The edge of the upper lid slides down over the eyeball to just below the lower one, which rises a little. Skin between
the crease and the edge is stretched with it, and takes the tone of a lid; lashes ride on the edge. Lengths are relative
to the eye's width.

Constants without a source were chosen by eye on the portraits listed in `docs/mesh.md`.
"""

import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.geometry.arrays import Array, as_float32, smoothstep
from liveavatar.mesh.render.eye_window import EyeWindow
from liveavatar.mesh.render.lid_materials import LidMaterials

LID_LEVELS = 12
"""Closures for which lids are drawn, up to COVERED_BLINK; a frame takes the nearest."""
COVERED_BLINK = 0.875
"""Closure from which lids cover the whole eye."""
_LOWER_LID_RISE, _OVERLAP = 0.06, 0.04
"""How far the lower lid rises, and how far below its place at rest the upper one comes; relative to the opening."""
_BARE_LID_BLINK = 0.3
"""Closure from which nothing of the open eye's edges is left on the lids."""
_LID_TONE_BLINK, _LID_TONE_DEPTH = (0.1, 0.8), (0.05, 0.5)
"""Closures, and shares of the way from crease to edge, between which skin becomes that of a lid."""
_LID_TONE_CORNER = (-0.1, 0.15)
"""Distances from the corners, negative outside, between which it does."""
_END_FADE = (-0.28, -0.14)
"""Distances from the corners, outside, between which skin begins to move."""
_EDGE_SHARE = 0.4
"""Softness of the edges that are drawn, relative to the sharpest of the portrait."""
_DETAIL_SHARE = 0.7
"""Share of the skin's fine detail that stays on a lid."""
_BULGE_LIGHT, _EDGE_DARK = 0.07, 0.12
"""The eyeball's bulge lightens the middle of a lid, and its edge turns from the light."""
_LASH_UP, _LASH_DOWN = 0.02, 0.05
"""Thickness of the line of lashes above the edge, and length of the lashes below it."""
_LASH_OPACITY = 0.92
_COMB_WIDTHS = (12.0, 24.0)
"""Widths of an eye in pixels between which single hairs begin to show."""


def lid_level(blink: float) -> int:
    """The number of the picture that is nearest to closure `blink`, 0…1, from 1 on; 0 is an open eye."""
    return round(LID_LEVELS * min(1.0, blink / COVERED_BLINK))


def draw_lid_levels(window: EyeWindow) -> NDArray[np.uint8]:
    """The lids from nearly open to shut, [LID_LEVELS, h, w, 4]: colour, not premultiplied, and opacity."""
    materials = LidMaterials.from_window(window)
    levels = [_draw_level(window, materials, level / LID_LEVELS) for level in range(1, LID_LEVELS + 1)]
    return np.stack(levels)


def _draw_level(window: EyeWindow, materials: LidMaterials, blink: float) -> NDArray[np.uint8]:
    _, upper, lower, _ = window.curves
    opening = np.maximum(lower - upper, 0)
    softness = max(window.contours.softness / window.contours.width, _EDGE_SHARE * materials.softness)
    floor = lower - _LOWER_LID_RISE * opening * blink
    edge = upper + ((1 + _OVERLAP) * opening + 1.2 * softness) * blink  # soft edges must overlap wholly
    above = np.clip((edge - window.v) / softness + 0.5, 0, 1)
    below = np.clip((window.v - floor) / softness + 0.5, 0, 1)
    colour = _draw_upper_lid(window, materials, as_float32(edge), blink) * above[..., None]
    colour += _draw_lower_lid(window, materials, as_float32(floor), blink) * (1 - above[..., None])
    lashes = _draw_lashes(window, materials, as_float32(edge), blink)
    colour += (materials.lash_colour - colour) * lashes[..., None]
    opacity = np.maximum(np.maximum(above, below), lashes) * _moving_share(window, materials)
    opacity = opacity * window.rgba[..., 3]
    return np.dstack([np.clip(colour, 0, 255), opacity]).astype(np.uint8)


def _moving_share(window: EyeWindow, materials: LidMaterials) -> Array:
    """1 where skin moves, 0 around it."""
    inside = (window.v > materials.crease) & (window.v < materials.cheek)
    share = window.blur_image(as_float32(inside), 0.02) * smoothstep(window.from_corner, *_END_FADE)
    return as_float32(share * (1 - materials.fixed))


def _draw_upper_lid(window: EyeWindow, materials: LidMaterials, edge: Array, blink: float) -> Array:
    crease, upper = materials.crease, window.curves[1]
    height = np.maximum(edge - crease, 0.5 / window.texels)
    way = np.clip((window.v - crease) / height, 0, 1.2)
    bare = np.float32(min(1.0, blink / _BARE_LID_BLINK))
    source = as_float32(window.rgba[..., :3]) * (1 - bare) + materials.upper_skin * bare
    skin = window.sample_below(as_float32(source), crease + way * (upper - crease) - window.v)
    lid_share = smoothstep(blink, *_LID_TONE_BLINK) * smoothstep(way, *_LID_TONE_DEPTH)
    lid_share = (lid_share * smoothstep(window.from_corner, *_LID_TONE_CORNER))[..., None]
    detail = skin - window.blur_image(skin, 0.05)
    colour = skin * (1 - lid_share) + (materials.lid + _DETAIL_SHARE * detail + materials.grain) * lid_share
    return as_float32(colour * _shade_bulge(window, way, blink)[..., None])


def _shade_bulge(window: EyeWindow, way: Array, blink: float) -> Array:
    """Light on a lid `way` [h, w] from crease to edge: the eyeball's shape; none at the corners."""
    opening = np.maximum(window.curves[2] - window.curves[1], 0)
    height = np.clip(opening / max(float(opening.max()), 1e-3), 0, 1) * np.clip(
        window.from_corner / 0.3, 0, 1
    )
    light = _BULGE_LIGHT * np.sin(np.pi * np.clip(way, 0, 1)) ** 2 - _EDGE_DARK * smoothstep(way, 0.75, 1.0)
    return as_float32(1 + blink * height * light)


def _draw_lower_lid(window: EyeWindow, materials: LidMaterials, floor: Array, blink: float) -> Array:
    cheek, lower = materials.cheek, window.curves[2]
    bare = np.float32(min(1.0, blink / _BARE_LID_BLINK))
    source = as_float32(window.rgba[..., :3]) * (1 - bare) + materials.skin * bare
    way = (cheek - window.v) / np.maximum(cheek - floor, 0.5 / window.texels)
    return window.sample_below(as_float32(source), cheek - way * (cheek - lower) - window.v)


def _draw_lashes(window: EyeWindow, materials: LidMaterials, edge: Array, blink: float) -> Array:
    """Opacity of the lashes on the `edge` of the upper lid, [h, w]."""
    opening = np.maximum(window.curves[2] - window.curves[1], 0)
    below = window.v - edge
    blur = _EDGE_SHARE * materials.softness
    line = np.exp(-((below / max(_LASH_UP, blur)) ** 2))
    length = max(_LASH_DOWN * (0.35 + 0.65 * blink), 1.25 * blur)
    hairs = _draw_comb(window, below / length) * np.exp(-((below / length) ** 2))
    profile = np.where(below < 0, line, hairs)
    taper = np.clip((window.from_corner + 0.03) / 0.07, 0, 1)
    height = np.clip(0.6 + 0.4 * opening / max(float(opening.max()), 1e-3), 0, 1)
    bare = min(1.0, blink / _BARE_LID_BLINK)
    return as_float32(_LASH_OPACITY * bare * materials.lash_strength * profile * taper * height)


def _draw_comb(window: EyeWindow, way: Array) -> Array:
    """Single hairs, which part and spread on the `way` [h, w] from their roots to their ends: opacity [h, w]."""
    noise = np.random.default_rng(7).standard_normal(400).astype(np.float32)
    noise = np.convolve(noise, np.exp(-(np.arange(-4, 5) ** 2) / 3.0), "same")
    hairs = np.clip(0.75 + 0.3 * noise / noise.std(), 0.3, 1)
    place = window.u * (1 - 0.06 * np.maximum(way, 0)) + 0.5
    apart = smoothstep(way, 0.2, 0.6) * smoothstep(window.contours.width, *_COMB_WIDTHS)
    return as_float32(1 - apart * (1 - hairs[np.clip(place * 300 + 50, 0, 399).astype(int)]))

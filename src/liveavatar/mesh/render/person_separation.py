"""Split a portrait into person and background, each complete behind the other."""

import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.render.infill import infill_colours

_MATTE_MARGIN = 0.12
"""Matte values up to this are background, from one minus this on person."""
_FULL_TRUST_OPACITY = 0.4
"""Opacity from which a person's unmixed colour is used alone; below, it is mixed with colours from further inside."""


def separate_person(rgb: Picture, matte: NDArray[np.uint8]) -> tuple[Picture, Picture, NDArray[np.uint8]]:
    """Person [h, w, 3], background [h, w, 3] and opacity of the person [h, w], 0…255, of a portrait.

    Composited they are the portrait again, to one grey level. Where a pixel shows both, its colour is unmixed: neither
    layer keeps an edge of the other when the person moves. Where one hides the other, the hidden one is infilled.
    """
    sure = np.clip((matte / 255 - _MATTE_MARGIN) / (1 - 2 * _MATTE_MARGIN), 0, 1)
    opacity = np.rint(255 * sure).astype(np.uint8)
    behind = as_float32(infill_colours(rgb, as_float32(opacity == 0)))
    opacity = np.where(opacity > 0, np.maximum(opacity, _least_opacity(rgb, behind)), 0).astype(np.uint8)
    share = as_float32(opacity[..., None] / 255)
    inside = as_float32(infill_colours(rgb, as_float32(opacity == 255)))
    trust = np.clip(share / _FULL_TRUST_OPACITY, 0, 1)
    person = trust * _unmix_colour(rgb, share, behind) + (1 - trust) * inside
    # With a matte wider than the person, unmixing would give a background darker or brighter than anything around.
    unmixed = _unmix_colour(rgb, 1 - share, person)
    background = np.where(
        share < 1, np.clip(unmixed, np.minimum(rgb, behind), np.maximum(rgb, behind)), behind
    )
    person = np.where(share > 0, _unmix_colour(rgb, share, background), inside)
    return np.rint(person).astype(np.uint8), np.rint(background).astype(np.uint8), opacity


def _least_opacity(mixed: Picture, other: Array) -> Array:
    """The least opacity, 0…255, with which some colour over `other` gives `mixed`."""
    left = np.minimum(mixed / np.maximum(other, 1), (255 - mixed) / np.maximum(255 - other, 1)).min(2)
    return as_float32(np.rint(255 * np.clip(1 - left, 0, 1)))


def _unmix_colour(mixed: Picture, share: Array, other: Array) -> Array:
    """The colour that, over `other` with opacity `share`, gives `mixed`; clipped to 0…255."""
    return as_float32(np.clip((mixed - (1 - share) * other) / np.maximum(share, 1 / 255), 0, 255))

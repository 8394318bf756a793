"""Split a portrait into person and background, each complete behind the other."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.face_landmarks import interocular_distance
from liveavatar.mesh.render.background_infill import infill_background
from liveavatar.mesh.render.infill import infill_colours
from liveavatar.mesh.render.person_matting import estimate_opacity, keep_connected

Opacity = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_FULL_TRUST_OPACITY = 0.15
"""Opacity from which a person's unmixed colour is used alone; below, it is mixed with colours from further inside."""
_STRAY_REACH = 0.1
"""Distance from the person in which stray hair is looked for before a plain background, interocular units."""
_ROOT_OPACITY = 128
"""Opacity, 0…255, of the person from which a stray hair must grow."""
_RIM_REACH = 0.015
"""The same before any background, interocular units."""
_MIN_STRAY_SHARE = 0.035
"""Least share of the person's colour in a pixel that counts as stray hair."""
_STRAY_TOLERANCE, _STRAY_NOISE = 0.5, 8.0
"""What may be left of its difference from the background: share of what the person explains, and grey levels."""
_PLAIN_DETAIL, _MAX_DETAIL = 6.0, 40.0
"""A background is plain if it has less detail in the mean around, each pixel's detail bounded, grey levels."""
_TONE_BLUR, _PLAIN_BLUR = 0.06, 0.12
"""Detail is the difference from the mean within the first distance; plain is what lacks it within the second."""
_PLAIN_UNIT_PIXELS, _MIN_KNOWN_SHARE = 60, 0.99
"""Pixels of the interocular distance in the picture in which that is measured; what counts as background there."""
_STRAY_ERROR, _OPAQUE_ERROR = 20.0, 90.0
"""Difference from a plain background of the faintest stray hair, and of an opaque one, grey levels."""
_VOTE_BLUR, _MIN_VOTE = 0.006, 0.4
"""Neighbourhood in which a pixel needs company, interocular units, and how much of it."""
_MIN_CONTRAST = 300.0
"""Least squared difference between person and background that is told apart."""


def separate_person(
    rgb: Picture, matte: NDArray[np.uint8], landmarks: Landmarks
) -> tuple[Picture, Picture, Opacity]:
    """Person [h, w, 3], background [h, w, 3] and opacity of the person [h, w], 0…255, of a portrait.

    Composited they are the portrait again, to one grey level. Where a pixel shows both, its colour is unmixed: neither
    layer keeps an edge of the other when the person moves. Where one hides the other, the hidden one is infilled.
    """
    unit = interocular_distance(landmarks)
    centre = landmarks[:, :2].mean(0)
    opacity = estimate_opacity(rgb, matte, unit)
    inside = as_float32(infill_colours(rgb, as_float32(opacity == 255)))
    plain = _find_plain_background(rgb, opacity, unit)
    side = 2 * max(1, round(_RIM_REACH * unit)) + 1
    rim = (cv2.dilate(opacity, np.ones((side, side), np.uint8)) > 0) & (opacity == 0)
    known = (opacity == 0) & ~plain & ~rim
    behind = as_float32(infill_background(rgb, known, (float(centre[0]), float(centre[1])), unit))
    stray = _find_stray_hair(rgb, behind, inside, opacity, plain, rim, unit)
    opacity = keep_connected(np.maximum(opacity, stray), opacity > _ROOT_OPACITY)
    # The picture's own background reaches up to the person.
    behind[opacity == 0] = rgb[opacity == 0]
    part = np.nonzero((opacity > 0) & (opacity < 255))
    opacity[part] = np.maximum(opacity[part], _least_opacity(rgb[part], behind[part]))
    mixed = np.nonzero((opacity > 0) & (opacity < 255))
    person = inside.copy()
    person[opacity == 255] = rgb[opacity == 255]
    person[mixed], behind[mixed] = _unmix_layers(rgb[mixed], opacity[mixed], inside[mixed], behind[mixed])
    return np.rint(person).astype(np.uint8), np.rint(behind).astype(np.uint8), opacity


def _unmix_layers(
    mixed: NDArray[np.uint8], opacity: NDArray[np.uint8], inside: Array, behind: Array
) -> tuple[Array, Array]:
    """Colours of person and background in pixels [n, 3] that show both, with those known further in and out."""
    share = as_float32(opacity[:, None] / 255)
    trust = np.clip(share / _FULL_TRUST_OPACITY, 0, 1)
    person = trust * _unmix_colour(mixed, share, behind) + (1 - trust) * inside
    # With a matte wider than the person, unmixing would give a background darker or brighter than anything around.
    unmixed = _unmix_colour(mixed, 1 - share, person)
    background = as_float32(np.clip(unmixed, np.minimum(mixed, behind), np.maximum(mixed, behind)))
    return _unmix_colour(mixed, share, background), background


def _find_plain_background(rgb: Picture, opacity: Opacity, unit: float) -> Mask:
    """The pixels beside the person, up to _STRAY_REACH, before which a stray hair can be told: [h, w].

    What lies farther away is smooth there. Computed on a reduced picture, as nothing in it is sharp.
    """
    distance = cv2.distanceTransform(np.asarray(opacity == 0, np.uint8), cv2.DIST_L2, 5)
    near = distance <= max(2.0, _STRAY_REACH * unit)
    height, width = opacity.shape
    scale = min(1.0, _PLAIN_UNIT_PIXELS / unit)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = as_float32(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    known = as_float32(cv2.resize(as_float32(~near), size, interpolation=cv2.INTER_AREA) > _MIN_KNOWN_SHARE)
    tone = _blur_known(small, known, _TONE_BLUR * scale * unit)
    detail = np.minimum(np.linalg.norm(small - tone, axis=2), _MAX_DETAIL)[..., None]
    around = _blur_known(as_float32(detail), known, _PLAIN_BLUR * scale * unit)[..., 0]
    return np.asarray(near & (opacity == 0) & (cv2.resize(around, (width, height)) < _PLAIN_DETAIL))


def _blur_known(values: Array, known: Array, deviation: float) -> Array:
    """The mean of the `known` [h, w] ones of `values` [h, w, c] around each pixel; 255 if there is none."""
    weighed = cv2.GaussianBlur(np.dstack([values * known[..., None], known]), (0, 0), deviation)
    share = weighed[..., -1:]
    return as_float32(np.where(share > 1e-4, weighed[..., :-1] / np.maximum(share, 1e-4), 255))


def _find_stray_hair(
    rgb: Picture, behind: Array, inside: Array, opacity: Opacity, plain: Mask, rim: Mask, unit: float
) -> Opacity:
    """Opacity of pixels that differ from the background as the person beside them would.

    They have some `opacity` [h, w], lie in the person's `rim` [h, w] or before a `plain` background [h, w]. There
    whatever differs is the person's, such as hair with light on it.
    """
    at = np.nonzero(plain | rim | ((opacity > 0) & (opacity < 255)))
    towards, off = inside[at] - behind[at], rgb[at] - behind[at]
    contrast = np.maximum(np.einsum("ij,ij->i", towards, towards), _MIN_CONTRAST)
    share = np.clip(np.einsum("ij,ij->i", off, towards) / contrast, 0, 1)
    left = np.linalg.norm(off - share[:, None] * towards, axis=1)
    explained = left < np.maximum(_STRAY_TOLERANCE * share * np.sqrt(contrast), _STRAY_NOISE)
    explained &= share > _MIN_STRAY_SHARE
    error = np.linalg.norm(off, axis=1)
    bright = plain[at] & (error > _STRAY_ERROR)
    share = np.where(bright, np.maximum(share, np.minimum(error / _OPAQUE_ERROR, 1)), share)
    votes = _blur_sparse(as_float32(explained | bright), at, opacity.shape, max(0.7, _VOTE_BLUR * unit))
    stray = np.zeros_like(opacity)
    stray[at] = np.where(votes > _MIN_VOTE, np.rint(255 * share), 0)
    return stray


def _blur_sparse(
    values: Array, at: tuple[NDArray[Any], ...], shape: tuple[int, ...], deviation: float
) -> Array:
    """The mean of the `values` [n] of pixels around each of those `at` in a picture: [n]."""
    picture = np.zeros((*shape, 2), np.float32)
    picture[at] = np.column_stack([values, np.ones_like(values)])
    blurred = cv2.GaussianBlur(picture, (0, 0), deviation)[at]
    return as_float32(blurred[:, 0] / np.maximum(blurred[:, 1], 1e-3))


def _least_opacity(mixed: NDArray[np.uint8], other: Array) -> NDArray[np.uint8]:
    """The least opacity, 0…255, with which some colour over `other` gives `mixed`; [n] of [n, 3]."""
    left = np.minimum(mixed / np.maximum(other, 1), (255 - mixed) / np.maximum(255 - other, 1)).min(1)
    return np.asarray(np.rint(255 * np.clip(1 - left, 0, 1)), np.uint8)


def _unmix_colour(mixed: NDArray[np.uint8], share: Array, other: Array) -> Array:
    """The colour that, over `other` with opacity `share`, gives `mixed`; clipped to 0…255."""
    return as_float32(np.clip((mixed - (1 - share) * other) / np.maximum(share, 1 / 255), 0, 255))

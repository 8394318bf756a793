"""The person's opacity along the silhouette, from the colours on both sides of it.

The matte's network knows heads but not hairs: its edge is soft over a tenth of the distance of the eyes, and off by
half of that. Between what is surely person and what is surely background, each pixel is compared with samples of both,
taken across the edge (sampling-based matting: Gastal, Oliveira, "Shared Sampling for Real-Time Alpha Matting", Computer
Graphics Forum 29(2), 2010); the matte decides where they are alike.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32

_SURE_SHARE = 0.05
"""Matte values up to this can be surely background, from one minus this on surely person."""
_OUTER_BAND, _INNER_BAND = 0.1, 0.05
"""Distances from the matte's edge up to which neither is sure, interocular units."""
_SAMPLE_ANGLES = (0.0, 0.52, -0.52, 1.05, -1.05)
"""Directions of the samples, in radians from straight across the edge."""
_SAMPLE_DEPTHS = (0.01, 0.05, 0.12, 0.25)
"""Depths of the samples beyond what is unsure, interocular units."""
_COLOUR_NOISE = 14.0
"""Difference of colours, in grey levels, that counts as one unit of evidence."""
_MAX_EVIDENCE, _EVIDENCE_WEIGHT, _SHARPNESS = 4.0, 1.5, 1.3
"""Bound of evidence and of the matte's log odds, weight of the former, and factor of their sum."""
_EVIDENCE_BLUR, _DIRECTION_BLUR = 0.015, 0.03
"""Smoothing of the evidence and of the directions across the edge, interocular units."""
_EVIDENCE_UNIT_PIXELS = 90
"""Pixels of the interocular distance in the picture in which colours are compared, at most."""
_UNLIKE = 3e4
"""Squared difference of colours if there is no sample."""
_MAX_HOLE = 0.02
"""Area of background within the person up to which it is taken for a fault, square interocular units."""
_LEAST_LEVEL = 8
"""Opacities, 0…255, below this are none, and as near to 255 full: noise of the samples."""

Mask = NDArray[np.bool_]
_Points = NDArray[np.int64]


def estimate_opacity(rgb: Picture, matte: NDArray[np.uint8], unit: float) -> NDArray[np.uint8]:
    """Opacity of the person [h, w], 0…255; `unit` is the interocular distance in pixels.

    All of the person is connected with what the matte is sure of, and has no small holes.
    """
    outside, inside = _find_sure_pixels(matte, unit)
    odds = _measure_log_odds(matte) + _EVIDENCE_WEIGHT * _gather_evidence(rgb, matte, unit)
    share = 1 / (1 + np.exp(-_SHARPNESS * odds))
    share = np.where(inside, 1, np.where(outside, 0, share))
    opacity = np.asarray(cv2.medianBlur(np.rint(255 * share).astype(np.uint8), 3), np.uint8)
    opacity[opacity < _LEAST_LEVEL] = 0
    opacity[opacity > 255 - _LEAST_LEVEL] = 255
    return _close_holes(keep_connected(opacity, inside), unit) if inside.any() else opacity


def _gather_evidence(rgb: Picture, matte: NDArray[np.uint8], unit: float) -> Array:
    """How much more like the person than like the background each unsure pixel is, [h, w], ±_MAX_EVIDENCE.

    Computed on a reduced picture, as it is smoothed.
    """
    height, width = matte.shape
    scale = min(1.0, _EVIDENCE_UNIT_PIXELS / unit)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small_rgb, small_matte = (
        np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8) for part in (rgb, matte)
    )
    outside, inside = _find_sure_pixels(small_matte, scale * unit)
    unsure = ~outside & ~inside
    evidence = np.zeros(small_matte.shape, np.float32)
    if unsure.any() and inside.any() and outside.any():
        pixels = np.argwhere(unsure)
        evidence[tuple(pixels.T)] = _compare_colours(small_rgb, outside, inside, pixels, scale * unit)
        evidence = _blur_within(evidence, unsure, _EVIDENCE_BLUR * scale * unit)
    return as_float32(cv2.resize(evidence, (width, height), interpolation=cv2.INTER_LINEAR))


def _find_sure_pixels(matte: NDArray[np.uint8], unit: float) -> tuple[Mask, Mask]:
    """What is surely background, and what is surely person."""
    solid = matte > 127
    outside = (matte < 255 * _SURE_SHARE) & (_measure_distance(solid) > _OUTER_BAND * unit)
    inside = (matte > 255 * (1 - _SURE_SHARE)) & (_measure_distance(~solid) > _INNER_BAND * unit)
    return outside, inside


def _compare_colours(rgb: Picture, outside: Mask, inside: Mask, pixels: _Points, unit: float) -> Array:
    """How much more like the person than like the background each of `pixels` [n, 2] is: [n], ±_MAX_EVIDENCE."""
    to_outside, to_inside = _measure_distance(outside), _measure_distance(inside)
    slope = cv2.GaussianBlur(
        np.clip(to_inside, 0, unit) - np.clip(to_outside, 0, unit), (0, 0), max(1.0, _DIRECTION_BLUR * unit)
    )
    at = tuple(pixels.T)
    down, right = (as_float32(part)[at] for part in np.gradient(slope))
    length = np.maximum(np.hypot(right, down), 1e-4)
    outwards = as_float32(np.column_stack([down, right]) / length[:, None])
    unlike_background = _nearest_sample(rgb, outside, pixels, to_outside[at], outwards, unit)
    unlike_person = _nearest_sample(rgb, inside, pixels, to_inside[at], -outwards, unit)
    evidence = (np.sqrt(unlike_background) - np.sqrt(unlike_person)) / _COLOUR_NOISE
    # In gaps too narrow for samples of the background the matte decides.
    evidence[(unlike_background == _UNLIKE) | (unlike_person == _UNLIKE)] = 0
    return as_float32(np.clip(evidence, -_MAX_EVIDENCE, _MAX_EVIDENCE))


def _nearest_sample(
    rgb: Picture, sure: Mask, pixels: _Points, distance: Array, direction: Array, unit: float
) -> Array:
    """The least squared difference of colours between each of `pixels` [n, 2] and its samples of `sure`: [n]."""
    height, width = sure.shape
    colours = rgb[tuple(pixels.T)].astype(np.float32)
    best = np.full(len(pixels), _UNLIKE, np.float32)
    down, right = direction.T
    for angle in _SAMPLE_ANGLES:
        cosine, sine = np.cos(angle), np.sin(angle)
        turned = np.column_stack([down * cosine + right * sine, right * cosine - down * sine])
        for depth in _SAMPLE_DEPTHS:
            reach = distance / max(cosine, 0.5) + 1 + depth * unit
            at = np.rint(pixels + reach[:, None] * turned).astype(np.int64)
            y, x = np.clip(at, 0, (height - 1, width - 1)).T
            difference = colours - rgb[y, x]
            unlike = np.where(sure[y, x], np.einsum("ij,ij->i", difference, difference), _UNLIKE)
            best = np.minimum(best, as_float32(unlike))
    return best


def _measure_log_odds(matte: NDArray[np.uint8]) -> Array:
    share = np.clip(matte.astype(np.float32) / 255, 1e-3, 1 - 1e-3)
    return as_float32(np.clip(np.log(share / (1 - share)), -_MAX_EVIDENCE, _MAX_EVIDENCE))


def _measure_distance(pixels: Mask) -> Array:
    """Distance of each pixel from `pixels`, [h, w]."""
    return as_float32(cv2.distanceTransform(np.asarray(~pixels, np.uint8), cv2.DIST_L2, 5))


def _blur_within(values: Array, mask: Mask, deviation: float) -> Array:
    """`values` blurred among the pixels of `mask`; 0 outside of it."""
    blurred = cv2.GaussianBlur(cv2.merge([values, as_float32(mask)]), (0, 0), max(1.0, deviation))
    return as_float32(blurred[..., 0] / np.maximum(blurred[..., 1], 1e-3) * mask)


def keep_connected(opacity: NDArray[np.uint8], inside: Mask) -> NDArray[np.uint8]:
    """`opacity` [h, w] without what is not connected with the pixels `inside` [h, w]."""
    labels = np.asarray(cv2.connectedComponents(np.asarray(opacity > 0, np.uint8))[1])
    own = np.zeros(int(labels.max()) + 1, np.bool_)
    own[labels[inside]] = True
    own[0] = False
    return np.asarray(opacity * own[labels], np.uint8)


def _close_holes(opacity: NDArray[np.uint8], unit: float) -> NDArray[np.uint8]:
    """`opacity` without small holes."""
    _, holes, statistics, _ = cv2.connectedComponentsWithStats(
        np.asarray(opacity < 128, np.uint8), connectivity=4
    )
    small = np.asarray(statistics[:, cv2.CC_STAT_AREA] < _MAX_HOLE * unit**2)
    small[0] = False
    return np.where(small[holes], 255, opacity).astype(np.uint8)

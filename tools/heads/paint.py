"""Colours and bumps of skin, hair, eyes and cloth, as functions of the position on the resting head."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from tools.heads.mesh import Bytes, Floats

Rgb = tuple[int, int, int]

SKIN, EYE, HAIR, FRAME, TOOTH, GUM, TONGUE = range(7)

_NOISE_SIDE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """Colours are those of a screen, 0…255. `age` is 0 for the young, 1 for the old; the rest are shares."""

    skin: Rgb
    hair: Rgb
    iris: Rgb = (92, 66, 45)
    cloth: Rgb = (60, 70, 90)
    tooth: Rgb = (228, 220, 202)
    age: float = 0.0
    beard: float = 0.0
    moustache: float = 0.0
    bald: bool = False
    makeup: float = 0.0
    lipstick: Rgb | None = None


def to_linear_light(colour: Rgb) -> Floats:
    """A screen colour 0…255 as linear light, 0…1 (gamma 2.2)."""
    return np.asarray((np.array(colour) / 255) ** 2.2)


def smoothstep(value: Floats, start: float, end: float) -> Floats:
    """Smoothstep: 0 before `start`, 1 after `end`; falling if `end` is less than `start`."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


@cache
def _noise_field(blur: float) -> NDArray[np.float32]:
    noise = np.random.default_rng(7).normal(size=(_NOISE_SIDE, _NOISE_SIDE)).astype(np.float32)
    tiled = cv2.GaussianBlur(np.tile(noise, (3, 3)), (0, 0), blur)
    field = tiled[_NOISE_SIDE : 2 * _NOISE_SIDE, _NOISE_SIDE : 2 * _NOISE_SIDE]
    return np.asarray(np.pad(field / field.std(), (0, 1), mode="wrap"), np.float32)


def sample_noise(across: Floats, down: Floats, blur: float = 1.5) -> Floats:
    """Smooth noise of unit variance with a period of 512 cells; `across` and `down` are in cells."""
    across, down = np.broadcast_arrays(across, down)
    padded = [np.pad(axis.ravel(), (0, -axis.size % _NOISE_SIDE)) for axis in (across, down)]
    x, y = (
        np.float32(axis - _NOISE_SIDE * np.floor(axis / _NOISE_SIDE)).reshape(-1, _NOISE_SIDE)
        for axis in padded
    )
    field = cv2.remap(_noise_field(blur), x, y, cv2.INTER_LINEAR)
    return np.asarray(field, np.float64).ravel()[: across.size].reshape(across.shape)


def sample_region(mask: Bytes, texture: Floats) -> Floats:
    """A painted region at texture points [h, w, 2], 0…1."""
    side = mask.shape[0]
    x = np.asarray(texture[..., 0] * side - 0.5, np.float32)
    y = np.asarray((1 - texture[..., 1]) * side - 0.5, np.float32)
    return np.asarray(cv2.remap(mask, x, y, cv2.INTER_LINEAR), np.float64) / 255


def unroll_surface(place: Floats) -> tuple[Floats, Floats]:
    """The surface of the head unrolled: along the equator and upwards, decimetres."""
    x, y, z = np.moveaxis(place, -1, 0)
    return np.asarray(np.arctan2(x, z - 0.3) * 1.1), np.asarray(y)


def _mirrored_spot(place: Floats, x: float, y: float, radius: float) -> Floats:
    """A Gaussian of `radius` around a position of the face and its mirror image."""
    return np.asarray(np.exp(-((np.abs(place[..., 0]) - x) ** 2 + (place[..., 1] - y) ** 2) / radius**2))


def scalp_share(place: Floats) -> Floats:
    """Share of hair on the head, from a hairline over brow, temples, ears and nape."""
    x, y, z = np.moveaxis(place, -1, 0)
    line = np.interp(z, (0.0, 0.35, 0.62, 0.9, 1.2), (6.65, 6.95, 7.3, 7.75, 7.92)) - 0.1 * smoothstep(
        np.abs(x), 0.35, 0.0
    )
    ragged = 0.025 * sample_noise(45 * np.arctan2(x, z - 0.25), 3 * y)
    ears = smoothstep(np.abs(x), 0.7, 0.76) * smoothstep(y, 7.52, 7.44) * smoothstep(z, 0.2, 0.3)
    return smoothstep(y - line + ragged, -0.06, 0.12) * (1 - ears)


def beard_share(place: Floats, looks: Appearance) -> Floats:
    """Share of beard on jaw and chin, and of a moustache, without the lips; times their strengths."""
    x, y, z = np.moveaxis(np.abs(place), -1, 0)
    top = np.interp(x, (0.0, 0.28, 0.45, 0.75), (6.6, 6.62, 6.75, 7.2))
    jaw = smoothstep(top - y, -0.03, 0.06) * smoothstep(y, 6.15, 6.3) * smoothstep(z, 0.3, 0.6)
    lip = (
        smoothstep(0.34 - x, 0, 0.1)
        * smoothstep(y, 6.66, 6.72)
        * smoothstep(y, 6.84 - 0.25 * x, 6.8 - 0.25 * x)
        * (z > 1.2)
    )
    return np.asarray(np.maximum(looks.beard * jaw, max(looks.beard, looks.moustache) * lip))


def brow_share(place: Floats) -> Floats:
    """Share of brow, in fine hairs."""
    x, y, z = np.moveaxis(place, -1, 0)
    x = np.abs(x)
    arc = np.interp(x, (0.13, 0.25, 0.38, 0.52), (7.41, 7.455, 7.47, 7.41))
    thick = np.interp(x, (0.1, 0.2, 0.5), (0.04, 0.045, 0.016))
    shape = np.clip((thick + 0.012 - np.abs(y - arc)) / 0.024, 0, 1)
    ends = smoothstep(x, 0.11, 0.16) * smoothstep(x, 0.55, 0.47)
    hairs = smoothstep(sample_noise(200 * (x + 0.4 * y), 30 * y), -2.2, -0.2)
    return np.asarray(shape * ends * hairs * (z > 0.9))


def skin_colour(place: Floats, looks: Appearance, lips: Floats) -> Floats:
    """Colour of skin [h, w, 3], linear, with blotches, pores, lips, brows, beard and hair."""
    u, v = unroll_surface(place)
    base = to_linear_light(looks.skin)
    blush = (
        0.5 * _mirrored_spot(place, 0.4, 6.95, 0.22)
        + 0.6 * _mirrored_spot(place, 0.0, 6.98, 0.12)
        + 0.25 * _mirrored_spot(place, 0, 6.4, 0.15)
    )
    red = blush + 0.25 * sample_noise(20 * u, 20 * v, 2.0) + 0.1 * sample_noise(90 * u, 90 * v)
    colour = base * np.exp(np.stack([0.1 * red, -0.16 * red, -0.12 * red], -1))
    colour *= 1 + (0.03 + 0.02 * looks.age) * sample_noise(170 * u, 170 * v)[..., None]
    spots = looks.age * smoothstep(sample_noise(45 * u, 45 * v), 2.0, 2.6) + 0.3 * smoothstep(
        sample_noise(70 * u + 99, 70 * v), 2.4, 2.8
    )
    colour *= 1 - spots[..., None] * (0.25, 0.4, 0.45)
    rim = 0.5 * _mirrored_spot(place, 0.31, 7.2, 0.1)
    colour *= 1 - rim[..., None] * (0.18, 0.28, 0.22)
    rose = (
        base ** (0.9, 1.0, 1.0)
        * np.array([0.82, 0.5, 0.52])
        * (1 - looks.makeup * np.array([0.15, 0.5, 0.4]))
    )
    if looks.lipstick:
        rose = to_linear_light(looks.lipstick)
    rose = rose * (1 + 0.08 * sample_noise(120 * place[..., 0], 25 * v))[..., None]
    colour += lips[..., None] * (rose - colour)
    strand = 0.7 + 0.3 * sample_noise(150 * u, 18 * v)
    dark = to_linear_light(looks.hair) * np.clip(strand, 0.3, 1.5)[..., None]
    beard = beard_share(place, looks)
    whiskers = beard * (1 - lips) * smoothstep(sample_noise(160 * u, 40 * v) + 2.4 * beard, -0.2, 1.2)
    brow = 0.85 * brow_share(place)
    for share in (whiskers, brow):
        colour += share[..., None] * (dark - colour)
    return np.asarray(np.clip(colour, 0.001, 1))


def skin_bumps(place: Floats, looks: Appearance, lips: Floats) -> Floats:
    """Height of pores, creases and whiskers [h, w], decimetres."""
    u, v = unroll_surface(place)
    pores = 0.0006 * sample_noise(190 * u, 190 * v) + 0.0006 * sample_noise(70 * u, 70 * v)
    forehead = smoothstep(v, 7.5, 7.62) * smoothstep(v, 7.95, 7.8)
    folds = forehead * np.sin(62 * v + 1.5 * sample_noise(6 * u, 3 * v)) + 0.6 * _mirrored_spot(
        place, 0.56, 7.27, 0.12
    ) * np.sin(70 * v + 30 * u)
    lines = lips * sample_noise(150 * place[..., 0], 12 * v)
    whiskers = beard_share(place, looks) * (1 - lips) * sample_noise(170 * u, 30 * v)
    hairs = whiskers + brow_share(place) * sample_noise(170 * u, 60 * v)
    return np.asarray(pores * (1 + looks.age) + looks.age * 0.0035 * folds + 0.0014 * lines + 0.003 * hairs)


def shirt_share(place: Floats) -> Floats:
    """Share of shirt: everything below the neck."""
    x, y, z = np.moveaxis(place, -1, 0)
    away = np.hypot(x, z - 0.15)
    return np.asarray(np.maximum(smoothstep(y, 5.62, 5.6), smoothstep(away, 0.74, 0.76) * (y < 6.15)))


def hair_strands(place: Floats) -> Floats:
    """Fine streaks from the crown down, about -1…1."""
    x, y, z = np.moveaxis(place, -1, 0)
    turn = np.arctan2(x, z - 0.25)
    fine, coarse = sample_noise(170 * turn, 14 * y), sample_noise(26 * turn, 4 * y)
    return np.asarray(np.clip(0.5 * fine + 0.5 * coarse, -1.5, 1.5))


def eye_colour(place: Floats, centre: Floats, looks: Appearance) -> Floats:
    """Colour of an eyeball: white, iris with its fibres and dark ring, pupil."""
    x, y = place[..., 0] - centre[..., 0], place[..., 1] - centre[..., 1]
    radius, angle = np.hypot(x, y) / 0.062, np.arctan2(y, x)
    fibres = 1 + 0.35 * sample_noise(14 * angle + 200, 6 * radius)
    iris = to_linear_light(looks.iris) * (0.6 + 0.9 * radius * fibres)[..., None]
    iris *= (1 - 0.75 * smoothstep(radius, 0.82, 1.02))[..., None]
    iris *= smoothstep(radius, 0.36, 0.46)[..., None]
    white = (
        np.array([0.72, 0.66, 0.62]) * (1 - 0.18 * smoothstep(radius, 1.2, 2.4))[..., None] * (1, 0.93, 0.9)
    )
    inside = smoothstep(radius, 1.06, 0.96)[..., None]
    return np.asarray(white + inside * (iris - white))

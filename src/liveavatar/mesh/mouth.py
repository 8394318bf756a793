"""What lies between the lips: teeth, tongue and the dark behind them.

Everything is painted once, in the frame of the mouth (`u` along the lips, `v` downwards, in interocular units),
at the resolution of the portrait, and moved per frame: the upper teeth with the skull, the rest with the jaw.
When the portrait itself smiles, its own teeth are used and the painted ones only fill in where it shows none.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.field import Array, floats, remap

_MM = 1 / 90
"""A millimetre in interocular units: the outer eye corners of adults are about 90 mm apart (Farkas 1994)."""

_OVERSAMPLING = 6
_EXTENT = (0.5, 0.42)
"""Half width and half height of the painted area, in interocular units."""

_UPPER_WIDTHS = (8.5, 6.6, 7.0, 5.5, 4.5, 4.0)
_LOWER_WIDTHS = (5.2, 5.7, 6.3, 5.2, 4.5, 4.0)
"""Crown widths in mm from the midline outwards, as seen from the front (Ash and Nelson 2003, foreshortened)."""
_CROWN_HEIGHT = 9.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tint:
    """Colours of one portrait, RGB float 0…255."""

    teeth: Array
    tongue: Array
    cavity: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Texture:
    """RGB premultiplied by alpha plus alpha, float32 [h, w, 4]; `scale` texels an interocular unit, centred."""

    rgba: Array
    scale: float

    def sample(self, u: Array, v: Array) -> Array:
        """Colour at positions of the mouth frame, in interocular units."""
        height, width = self.rgba.shape[:2]
        at = np.dstack([u * self.scale + (width - 1) / 2, v * self.scale + (height - 1) / 2])
        return remap(self.rgba, floats(at), cv2.INTER_LINEAR, clear=True)


def paint_teeth(colour: Array, unit: float, *, upper: bool) -> Texture:
    """A row of teeth whose biting edge lies on v = 0, crowns above it (upper) or below it (lower)."""
    u, v = _canvas(unit)
    away = -v if upper else v
    widths = np.cumsum(_UPPER_WIDTHS if upper else _LOWER_WIDTHS) * _MM
    alpha, shade = np.zeros_like(u), np.zeros_like(u)
    inner = 0.0
    for outer in widths:
        centre, half = (inner + outer) / 2, (outer - inner) / 2
        across = np.abs((np.abs(u) - centre) / half)
        # The biting edge curves up with the arch and is rounded at each tooth's corners.
        edge = 0.045 * (centre / 0.35) ** 2 + 0.012 * across**4
        tooth = (across <= 1) & (away >= edge) & (away <= edge + _CROWN_HEIGHT * _MM)
        round_off = 1 - 0.28 * across**3
        depth = np.exp(-((centre / 0.3) ** 2))
        alpha[tooth] = 1
        shade[tooth] = (round_off * depth * (0.86 + 0.14 * np.clip((away - edge) / 0.05, 0, 1)))[tooth]
        inner = float(outer)
    return _texture(colour * shade[..., None], alpha, unit)


def paint_tongue(colour: Array, unit: float) -> Texture:
    """The tongue's back seen from the front; its highest point lies on v = 0."""
    u, v = _canvas(unit)
    across = u / 0.26
    depth = v - 0.10 * across**2
    groove = 0.05 * np.exp(-((u / 0.02) ** 2))
    shade = np.clip(0.34 + 1.2 * depth, 0.3, 0.55) * (1 - 0.4 * across**2) - groove
    alpha = np.clip(depth / 0.05 + 0.5, 0, 1) * np.clip((1 - np.abs(across)) / 0.1, 0, 1)
    return _texture(colour * shade[..., None], alpha.astype(np.float32), unit)


def _canvas(unit: float) -> tuple[Array, Array]:
    columns, rows = (2 * round(e * unit) * _OVERSAMPLING + _OVERSAMPLING for e in _EXTENT)
    step = 1 / (unit * _OVERSAMPLING)
    u = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * step
    v = (np.arange(rows, dtype=np.float32) - (rows - 1) / 2) * step
    grid = np.meshgrid(u, v)
    return floats(grid[0]), floats(grid[1])


def _texture(rgb: Array, alpha: Array, unit: float) -> Texture:
    rgba = floats(np.dstack([rgb * alpha[..., None], alpha]))
    size = (rgba.shape[1] // _OVERSAMPLING, rgba.shape[0] // _OVERSAMPLING)
    return Texture(rgba=floats(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA)), scale=unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTeeth:
    """Teeth the portrait shows: premultiplied RGBA float32 of the picture box whose corner is `origin`."""

    rgba: Array
    origin: tuple[int, int]

    def sample(self, at: Array) -> Array:
        """Colour at picture positions [h, w, 2]."""
        return remap(self.rgba, at - floats(self.origin), cv2.INTER_CUBIC, clear=True)


def find_own_teeth(
    patch: NDArray[np.uint8], inside: Array, skin: float, origin: tuple[int, int]
) -> OwnTeeth | None:
    """Cut the visible teeth out of a portrait's open mouth, or None when it shows too few to use.

    Args:
        patch: the picture around the mouth.
        inside: 0…1, the opening between the lips, same height and width.
        skin: luminance of the skin nearby, 0…255; teeth are told from tongue and dark by it.
        origin: position of the patch in the picture.
    """
    rgb = patch.astype(np.float32)
    luma = rgb @ floats([0.2126, 0.7152, 0.0722])
    redness = (rgb[..., 0] - rgb[..., 1]) / np.maximum(luma, 1)
    bright = np.clip((luma / max(skin, 1) - 0.55) / 0.2, 0, 1)
    pale = np.clip((0.42 - redness) / 0.12, 0, 1)
    alpha = floats(bright * pale * inside)
    if alpha.sum() < max(12.0, 0.15 * float(inside.sum())):
        return None
    alpha = floats(cv2.GaussianBlur(alpha, (0, 0), 0.6))
    return OwnTeeth(rgba=floats(np.dstack([rgb * alpha[..., None], alpha])), origin=origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interior:
    """All that shows between the lips, ready to be laid down for one frame."""

    tint: Tint
    upper: Texture
    lower: Texture
    tongue: Texture
    own: OwnTeeth | None
    upper_edge: float
    lower_edge: float

    def render(self, local: Array, picture: Array, jaw: float, tongue: float, opening: Array) -> Array:
        """The inside of the mouth as RGB float32 [h, w, 3].

        Args:
            local: mouth-frame positions of the pixels with the skull at rest, [h, w, 2], interocular units.
            picture: the same positions in the portrait, pixels.
            jaw: how far the lower teeth have gone down, interocular units.
            tongue: 0…1, tip raised towards the upper teeth.
            opening: 0…1, share of each pixel that the lips leave open; the lips' shadow is made from it.
        """
        u, v = local[..., 0], local[..., 1]
        colour = np.broadcast_to(self.tint.cavity, (*u.shape, 3))
        floor = self.lower_edge + jaw
        lift = tongue * max(floor - self.upper_edge, 0.0)
        colour = _over(self.tongue.sample(u, v - floor + 0.05 + 0.8 * lift), colour)
        colour = _over(self.lower.sample(u, v - floor), colour)
        colour = _over(self.upper.sample(u, v - self.upper_edge), colour)
        if self.own is not None:
            colour = _over(self.own.sample(picture), colour)
        return floats(colour * self._shadow(opening)[..., None])

    def _shadow(self, opening: Array) -> Array:
        blurred = cv2.GaussianBlur(opening, (0, 0), max(0.6, 0.035 * self.upper.scale))
        return floats(np.clip(0.45 + floats(blurred), 0.5, 1.0))


def _over(top: Array, below: Array) -> Array:
    return floats(top[..., :3] + below * (1 - top[..., 3:]))

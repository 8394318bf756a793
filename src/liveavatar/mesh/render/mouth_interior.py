"""What lies between the lips: teeth, gums, tongue and the dark behind them.

`assets/mouth.png` holds renders of them in white light, in the frame of the mouth (`u` along the lips, `v` downwards,
in interocular units). For a portrait they are turned as its head is, lit as its face is, and reduced to its
resolution once; per frame the upper teeth move with the skull, the rest with the jaw. When the portrait itself
smiles, its own teeth are used and the rendered ones only fill in where it shows none.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.geometry.warp_field import Array, as_float32, remap_image

LAYER_HALF_SIZE = (0.4, 0.25)
"""Half width and half height of a layer of the asset, interocular units; v = 0 is the front teeth's biting edge, or
the top of the tongue."""
TEXELS_PER_UNIT = 320
"""Pixels of the asset in an interocular unit."""
LAYER_NAMES = ("upper", "lower", "tongue")
"""The asset's layers from top to bottom."""

_ASSET_TOOTH_RGB = as_float32([222, 208, 194])
"""Mean colour of the asset's front teeth."""
_LUMA_WEIGHTS = as_float32([0.2126, 0.7152, 0.0722])
_THROAT_COLOUR = as_float32([0.20, 0.085, 0.075])
"""The throat, relative to the light."""

_TONGUE_REST_DEPTH, _TONGUE_OPEN_HEIGHT, _TONGUE_OPEN_JAW = 0.02, 0.03, 0.12
"""How far the tongue at rest lies under the lower teeth's edge while they are near the upper ones, and above it once
the jaw has gone down so far, interocular units: higher, it fills the mouth."""
_LAYER_TINTS = {
    "upper": as_float32([1, 1, 1]),
    "lower": as_float32([0.75, 0.75, 0.75]),
    "tongue": as_float32([1.0, 0.8, 0.8]),
}
"""Share of red, green and blue that each layer gets: what lies deeper is shaded, by red surroundings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthLight:
    """How white looks inside this mouth: RGB 0…255 in its middle, how much brighter it is a unit to the right, and how
    much colour the picture shows at all, 0…1."""

    white: Array
    slope: float
    chroma: float = 1.0

    @classmethod
    def from_teeth(cls, colour: Array, slope: float, chroma: float = 1.0) -> "MouthLight":
        """The light that gives the asset's teeth this mean `colour`."""
        return cls(
            white=as_float32(np.clip(colour / _ASSET_TOOTH_RGB * 255, 0, 255)), slope=slope, chroma=chroma
        )

    def apply_to(self, colour: Array) -> Array:
        """What has `colour` [..., 3] in white light, relative to it, as it looks in this one; 0…255."""
        return as_float32(
            (self.chroma * colour + (1 - self.chroma) * (colour @ _LUMA_WEIGHTS)[..., None]) * self.white
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthTexture:
    """RGB premultiplied by alpha plus alpha, float32 [h, w, 4]; `scale` texels an interocular unit, centred."""

    rgba: Array
    texels_per_unit: float

    @classmethod
    def from_asset(cls, name: str, light: MouthLight, column_map: Array, unit: float) -> "MouthTexture":
        """A layer of the asset for a face of `unit` pixels.

        Args:
            name: one of LAYERS.
            light: what falls on it.
            turned: where the asset's columns come to lie when the head is turned: pairs (u seen, u in the asset),
                [n, 2], ascending. What is beyond them is hidden.
            unit: interocular distance in pixels.
        """
        scale = min(1.0, unit / TEXELS_PER_UNIT)
        small = as_float32(
            cv2.resize(_load_layer(name), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        )
        rows, columns = small.shape[:2]
        seen = (np.arange(columns) - (columns - 1) / 2) / (TEXELS_PER_UNIT * scale)
        u = np.interp(seen, column_map[:, 0], column_map[:, 1], left=9.0, right=9.0)
        x = as_float32(np.broadcast_to(u * TEXELS_PER_UNIT * scale + (columns - 1) / 2, (rows, columns)))
        y = as_float32(np.broadcast_to(np.arange(rows)[:, None], (rows, columns)))
        rgba = remap_image(small, as_float32(np.dstack([x, y])), cv2.INTER_LINEAR, transparent_outside=True)
        side = as_float32(np.clip(1 + light.slope * seen, 0.4, 1.6)[:, None])
        rgba[..., :3] = light.apply_to(rgba[..., :3] / np.float32(255) * _LAYER_TINTS[name]) * side
        return cls(rgba=rgba, texels_per_unit=TEXELS_PER_UNIT * scale)

    def sample(self, u: Array, v: Array) -> Array:
        """Colour at positions of the mouth frame, in interocular units."""
        height, width = self.rgba.shape[:2]
        at = np.dstack(
            [u * self.texels_per_unit + (width - 1) / 2, v * self.texels_per_unit + (height - 1) / 2]
        )
        return remap_image(self.rgba, as_float32(at), cv2.INTER_LINEAR, transparent_outside=True)


@cache
def _load_layer(name: str) -> Array:
    """A layer of the asset: RGB premultiplied by alpha, alpha 0…1."""
    raw = (files("liveavatar.mesh") / "assets" / "mouth.png").read_bytes()
    atlas = np.asarray(cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED))
    height = atlas.shape[0] // len(LAYER_NAMES)
    rgba = as_float32(cv2.cvtColor(atlas, cv2.COLOR_BGRA2RGBA))[LAYER_NAMES.index(name) * height :][:height]
    alpha = rgba[..., 3:] / np.float32(255)
    return as_float32(np.dstack([rgba[..., :3] * alpha, alpha]))


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitTeeth:
    """Teeth the portrait shows: premultiplied RGBA float32 of the picture box whose corner is `origin`."""

    rgba: Array
    origin: tuple[int, int]

    @property
    def mean_colour(self) -> Array:
        """Their mean colour, RGB."""
        return as_float32(self.rgba[..., :3].sum((0, 1)) / self.rgba[..., 3].sum())

    def sample(self, positions: Array) -> Array:
        """Colour at picture positions [h, w, 2]."""
        return remap_image(
            self.rgba, positions - as_float32(self.origin), cv2.INTER_CUBIC, transparent_outside=True
        )


def extract_portrait_teeth(
    patch: NDArray[np.uint8], opening: Array, skin_luma: float, origin: tuple[int, int]
) -> PortraitTeeth | None:
    """Cut the visible teeth out of a portrait's open mouth, or None when it shows too few to use.

    Args:
        patch: the picture around the mouth.
        inside: 0…1, the opening between the lips, same height and width.
        skin: luminance of the skin nearby, 0…255; teeth are told from tongue and dark by it.
        origin: position of the patch in the picture.
    """
    rgb = patch.astype(np.float32)
    luma = rgb @ _LUMA_WEIGHTS
    redness = (rgb[..., 0] - rgb[..., 1]) / np.maximum(luma, 1)
    bright = np.clip((luma / max(skin_luma, 1) - 0.55) / 0.2, 0, 1)
    pale = np.clip((0.42 - redness) / 0.12, 0, 1)
    alpha = as_float32(bright * pale * opening)
    if alpha.sum() < max(12.0, 0.08 * float(opening.sum())):
        return None
    alpha = as_float32(cv2.GaussianBlur(alpha, (0, 0), 0.6))
    return PortraitTeeth(rgba=as_float32(np.dstack([rgb * alpha[..., None], alpha])), origin=origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthInterior:
    """All that shows between the lips, ready to be laid down for one frame."""

    light: MouthLight
    upper: MouthTexture
    lower: MouthTexture
    tongue: MouthTexture
    portrait_teeth: PortraitTeeth | None
    upper_edge: float
    lower_edge: float

    def render(
        self, mouth_positions: Array, portrait_positions: Array, jaw: float, tongue: float, opening: Array
    ) -> Array:
        """The inside of the mouth as RGB float32 [h, w, 3].

        Args:
            local: mouth-frame positions of the pixels with the skull at rest, [h, w, 2], interocular units.
            picture: the same positions in the portrait, pixels.
            jaw: how far the lower teeth have gone down, interocular units.
            tongue: 0…1, tip raised towards the upper teeth.
            opening: 0…1, share of each pixel that the lips leave open; the lips' shadow is made from it.
        """
        u, v = mouth_positions[..., 0], mouth_positions[..., 1]
        colour = np.broadcast_to(self.light.apply_to(_THROAT_COLOUR), (*u.shape, 3))
        floor = self.lower_edge + jaw
        lift = tongue * max(floor - self.upper_edge, 0.0)
        rest = float(np.interp(jaw, (0, _TONGUE_OPEN_JAW), (-_TONGUE_REST_DEPTH, _TONGUE_OPEN_HEIGHT)))
        colour = _composite_over(self.tongue.sample(u, v - floor + rest + 0.8 * lift), colour)
        colour = _composite_over(self.lower.sample(u, v - floor), colour)
        colour = _composite_over(self.upper.sample(u, v - self.upper_edge), colour)
        if self.portrait_teeth is not None:
            colour = _composite_over(self.portrait_teeth.sample(portrait_positions), colour)
        return as_float32(colour * self._lip_shadow(opening)[..., None])

    def _lip_shadow(self, opening: Array) -> Array:
        blurred = cv2.GaussianBlur(opening, (0, 0), max(0.6, 0.035 * self.upper.texels_per_unit))
        return as_float32(np.clip(0.45 + as_float32(blurred), 0.5, 1.0))


def _composite_over(top: Array, below: Array) -> Array:
    return as_float32(top[..., :3] + below * (1 - top[..., 3:]))

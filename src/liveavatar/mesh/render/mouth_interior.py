"""The inside of the mouth: teeth, gums, tongue and the dark behind them.

`assets/mouth.png` holds renders in white light, in the frame of the mouth (`u` along the lips, `v` down, interocular
units). For a portrait they are turned as the head is, lit as the face is and reduced to its resolution, once. In a
frame the upper teeth stay with the skull, the rest moves with the jaw. A portrait's own teeth are drawn over the
rendered ones.

Constants without a source were chosen by eye on the portraits listed in `docs/mesh.md`.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import cv2
import numpy as np

from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image, smoothstep
from liveavatar.mesh.lips.portrait_teeth import PortraitTeeth

LAYER_HALF_SIZE = (0.4, 0.25)
"""Half width and half height of a layer of the asset, interocular units; v = 0 is the biting edge of the front teeth,
or
the top of the tongue."""
TEXELS_PER_UNIT = 320
"""Pixels of the asset per interocular unit."""
LAYER_NAMES = ("upper", "lower", "tongue")
"""The layers of the asset from top to bottom."""
LUMA_WEIGHTS = as_float32([0.2126, 0.7152, 0.0722])
"""Weights of red, green and blue in luma (ITU-R BT.709)."""

_ASSET_TOOTH_RGB = as_float32([222, 208, 194])
"""Mean colour of the front teeth in the asset."""
_THROAT_COLOUR = as_float32([0.20, 0.085, 0.075])
"""Colour of the throat relative to white."""
_CHEEK_COLOUR, _CHEEK_FADE = as_float32([0.34, 0.15, 0.13]), (0.4, 1.0)
"""Colour of the inside of the cheeks relative to white, and where it takes over from the throat, relative to half the
width of the mouth."""
_LAYER_TINTS = {
    "upper": as_float32([1, 1, 1]),
    "lower": as_float32([0.68, 0.6, 0.55]),
    "tongue": as_float32([1.0, 0.8, 0.8]),
}
"""Share of red, green and blue light that reaches each layer: deeper ones are in the shadow of red surroundings."""
_SIDE_LIGHT_LIMITS = (0.4, 1.6)
"""Limits of the brightness at the sides of the mouth relative to its middle."""

_TONGUE_REST_DEPTH, _TONGUE_OPEN_HEIGHT, _TONGUE_OPEN_JAW = -0.03, 0.06, 0.12
"""A tongue at rest lies the first below the edge of the lower teeth in a closed mouth, and the second above that edge
once the jaw is down by the third; interocular units."""
_TONGUE_LIFT = 0.8
"""Share of the distance between the teeth by which a raised tongue rises."""
_OWN_BLUR = 0.6
"""Blur of a layer that is reduced to a portrait's resolution, pixels."""
_SHADOW_BLUR, _MIN_SHADOW_BLUR_PIXELS = 0.035, 0.6
"""Standard deviation of the blur of the lips' shadow, interocular units, and at least in pixels."""
_SHADOW_OFFSET, _SHADOW_DARKEST = 0.45, 0.5
"""Brightness added to the blurred opening, and the least brightness in the shadow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthLight:
    """The light in a mouth.

    `white` is what white looks like in the middle, RGB 0…255; `slope` the relative growth of brightness over an
    interocular unit to the right; `chroma` the saturation of the picture, from 0 for grey to 1.
    """

    white: Array
    slope: float
    chroma: float = 1.0

    @classmethod
    def from_teeth(cls, colour: Array, slope: float, chroma: float = 1.0) -> "MouthLight":
        """The light in which the teeth of the asset have the mean `colour`, RGB 0…255."""
        white = as_float32(np.clip(colour / _ASSET_TOOTH_RGB * 255, 0, 255))
        return cls(white=white, slope=slope, chroma=chroma)

    def apply_to(self, colour: Array) -> Array:
        """The colour in this light, 0…255, of what has `colour` [..., 3], 0…1, in white light."""
        grey = (colour @ LUMA_WEIGHTS)[..., None]
        return as_float32((self.chroma * colour + (1 - self.chroma) * grey) * self.white)


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthTexture:
    """A lit layer: premultiplied RGB 0…255 and alpha 0…1, float32 [h, w, 4], centred on the origin of the mouth."""

    rgba: Array
    texels_per_unit: float

    @classmethod
    def from_asset(
        cls, name: str, light: MouthLight, column_map: Array, unit: float, blur: float
    ) -> "MouthTexture":
        """A layer of the asset for one portrait.

        Args:
            name: one of LAYER_NAMES.
            light: the light in the mouth.
            column_map: positions of the asset's columns in a turned head: pairs (u in the picture, u in the asset),
                [n, 2], ascending. What lies beyond them is hidden.
            unit: interocular distance in pixels.
            blur: standard deviation of the picture's blur, pixels.
        """
        scale = min(1.0, unit / TEXELS_PER_UNIT)
        layer = _load_layer(name)
        small = as_float32(cv2.resize(layer, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        rows, columns = small.shape[:2]
        shown = (np.arange(columns) - (columns - 1) / 2) / (TEXELS_PER_UNIT * scale)
        u = np.interp(shown, column_map[:, 0], column_map[:, 1], left=9.0, right=9.0)
        x = as_float32(np.broadcast_to(u * TEXELS_PER_UNIT * scale + (columns - 1) / 2, (rows, columns)))
        y = as_float32(np.broadcast_to(np.arange(rows)[:, None], (rows, columns)))
        rgba = remap_image(small, as_float32(np.dstack([x, y])), cv2.INTER_LINEAR, transparent_outside=True)
        side = as_float32(np.clip(1 + light.slope * shown, *_SIDE_LIGHT_LIMITS)[:, None])
        rgba[..., :3] = light.apply_to(rgba[..., :3] / np.float32(255) * _LAYER_TINTS[name]) * side
        texels = (max(0.0, blur**2 - _OWN_BLUR**2)) ** 0.5 * TEXELS_PER_UNIT * scale / unit
        if texels > 0:
            rgba = as_float32(cv2.GaussianBlur(rgba, (0, 0), texels))
        return cls(rgba=rgba, texels_per_unit=TEXELS_PER_UNIT * scale)

    def sample(self, u: Array, v: Array) -> Array:
        """RGBA at positions of the mouth's frame [h, w], interocular units; transparent outside the layer."""
        height, width = self.rgba.shape[:2]
        x = u * self.texels_per_unit + (width - 1) / 2
        y = v * self.texels_per_unit + (height - 1) / 2
        return remap_image(
            self.rgba, as_float32(np.dstack([x, y])), cv2.INTER_LINEAR, transparent_outside=True
        )


@cache
def _load_layer(name: str) -> Array:
    """A layer of the asset in white light: premultiplied RGB 0…255 and alpha 0…1, [h, w, 4]."""
    raw = (files("liveavatar.mesh") / "assets" / "mouth.png").read_bytes()
    atlas = np.asarray(cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED))
    height = atlas.shape[0] // len(LAYER_NAMES)
    rgba = as_float32(cv2.cvtColor(atlas, cv2.COLOR_BGRA2RGBA))[LAYER_NAMES.index(name) * height :][:height]
    alpha = rgba[..., 3:] / np.float32(255)
    return as_float32(np.dstack([rgba[..., :3] * alpha, alpha]))


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthInterior:
    """The inside of one portrait's mouth. Lengths in interocular units.

    `upper_edge`, `lower_edge`: `v` of the biting edges in a closed mouth; `half_width`: half the width of that mouth.
    """

    light: MouthLight
    upper: MouthTexture
    lower: MouthTexture
    tongue: MouthTexture
    portrait_teeth: PortraitTeeth | None
    upper_edge: float
    lower_edge: float
    half_width: float

    def render(
        self, mouth_positions: Array, portrait_positions: Array, jaw: float, tongue: float, opening: Array
    ) -> Array:
        """The inside of the mouth as RGB float32 [h, w, 3].

        Args:
            mouth_positions: positions of the pixels in the mouth's frame, head at rest, [h, w, 2], interocular units.
            portrait_positions: the same positions in the portrait, [h, w, 2], pixels.
            jaw: way of the lower teeth down, interocular units.
            tongue: 0…1, height of the tongue's tip between the lower and the upper teeth.
            opening: share of each pixel that the lips leave open, 0…1, [h, w]; it makes the lips' shadow.
        """
        u, v = mouth_positions[..., 0], mouth_positions[..., 1]
        throat, cheek = self.light.apply_to(_THROAT_COLOUR), self.light.apply_to(_CHEEK_COLOUR)
        aside = smoothstep(np.abs(u) / self.half_width, *_CHEEK_FADE)[..., None]
        colour = as_float32(throat + aside * (cheek - throat))
        floor = self.lower_edge + jaw
        lift = tongue * max(floor - self.upper_edge, 0.0)
        rest = float(np.interp(jaw, (0, _TONGUE_OPEN_JAW), (-_TONGUE_REST_DEPTH, _TONGUE_OPEN_HEIGHT)))
        colour = _composite_over(self.tongue.sample(u, v - floor + rest + _TONGUE_LIFT * lift), colour)
        colour = _composite_over(self.lower.sample(u, v - floor), colour)
        colour = _composite_over(self.upper.sample(u, v - self.upper_edge), colour)
        if self.portrait_teeth is not None:
            colour = _composite_over(self.portrait_teeth.sample(portrait_positions), colour)
        return as_float32(colour * self._lip_shadow(opening)[..., None])

    def _lip_shadow(self, opening: Array) -> Array:
        """Brightness inside the mouth, [h, w]: darker near the lips."""
        blur = max(_MIN_SHADOW_BLUR_PIXELS, _SHADOW_BLUR * self.upper.texels_per_unit)
        blurred = as_float32(cv2.GaussianBlur(opening, (0, 0), blur))
        return as_float32(np.clip(_SHADOW_OFFSET + blurred, _SHADOW_DARKEST, 1.0))


def _composite_over(top: Array, below: Array) -> Array:
    return as_float32(top[..., :3] + below * (1 - top[..., 3:]))

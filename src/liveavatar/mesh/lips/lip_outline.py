"""Where the lips are in a picture by their colours, and the outline of the lower one.

Lip and skin are told apart by mixtures of the portrait's own colours: those of the skin come from right beside the
lips, so light from one side, beards and pale lips do not matter much. Lengths are pixels of the level mouth; constants
were chosen on the portraits of `benchmarks/mesh/faces.py`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.face.inspection.mouth_profile import LevelMouth, Mask
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.lips.colour_mixture import ColourMixture

_COMPONENTS = 3
_SKIN_RING, _SKIN_RISE = (6.0, 28.0), 20.0
"""How far from the lips skin begins and ends, and how far above the lowest lip: the nose is no skin beside lips."""
_REACH, _SIDE_REACH = 55.0, 46.0
"""How far below the line between the lips, and to the sides of its middle, the lower lip's colour is followed."""
_OUTLINE_MARGIN = 2.5
"""Distance from the landmarks' outline from which lip colour is stray."""
_MIDDLE, _FLANKS = (0, 6), (17, 23)
"""Columns, from the middle of the mouth, whose lip is the middle and the flanks."""
_SPREADS_APART, _LEAST_LIGHT = (4.0, 3.0), 6.0
"""A lip's samples lie within so many spreads of the median, in L and in redness: others are teeth or a beard."""
_ALIEN = 3.0
"""Standard deviations from lips and skin beyond which a colour is neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LipColourModel:
    """Colours of a portrait's upper lip, of its lower lip, and of the skin beside them."""

    upper: ColourMixture
    lower: ColourMixture
    skin: ColourMixture

    @classmethod
    def from_mouth(cls, mouth: LevelMouth) -> "LipColourModel":
        """The colours of the portrait's own mouth."""
        lab = _to_soft_lab(mouth.rgb)
        upper, lower = (_fit_lip(lab[lip]) for lip in (mouth.upper_lip, mouth.lower_lip))
        skin = ColourMixture.fit_colours(as_float32(lab[_find_skin(mouth)]), _COMPONENTS)
        return cls(upper=upper, lower=lower, skin=skin)

    def find_lips(self, mouth: LevelMouth) -> tuple[Mask, Mask]:
        """Pixels that look like the upper lip, and like the lower lip, rather than like skin, [h, w]."""
        lab = _to_soft_lab(mouth.rgb)
        skin = self.skin.log_likelihood(lab)
        upper, lower = (lip.log_likelihood(lab) > skin for lip in (self.upper, self.lower))
        return np.asarray(upper), np.asarray(lower)

    def find_alien_colours(self, mouth: LevelMouth) -> Mask:
        """Pixels that look neither like the lips nor like the skin, [h, w]."""
        lab = _to_soft_lab(mouth.rgb)
        nearest = (mixture.measure_distance(lab) for mixture in (self.upper, self.lower, self.skin))
        return np.asarray(np.minimum.reduce(list(nearest)) > _ALIEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerLipOutline:
    """`stray` is the area of lip colour below the outline of the lower lip over that of the lip; `middle` and `flanks`
    are the heights of the lip in the middle and halfway to the corners, over the mouth's width."""

    stray: float
    middle: float
    flanks: float

    @classmethod
    def from_mask(cls, mouth: LevelMouth, lip: Mask) -> "LowerLipOutline":
        """The outline of the lower lip whose colours are those of the pixels `lip`."""
        rows, columns = np.indices(lip.shape)
        side = np.abs(columns - lip.shape[1] / 2)
        line = (mouth.inner_upper + mouth.inner_lower) / 2
        inside = (rows > mouth.inner_lower) & (rows < mouth.outer_lower) & (side < mouth.width / 2)
        sought = lip & (rows > line) & (rows < line + _REACH) & (side < _SIDE_REACH)
        opened = cv2.morphologyEx(sought.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) > 0
        _, labels = cv2.connectedComponents((opened | inside).astype(np.uint8))
        joined = opened & np.isin(labels, np.unique(labels[inside]))
        stray = joined & (rows > mouth.outer_lower + _OUTLINE_MARGIN)
        depth = np.maximum(np.where(joined, rows - line, 0).max(0), 0)
        middle, flanks = (
            float(np.median(depth[(side[0] >= low) & (side[0] <= high)])) for low, high in (_MIDDLE, _FLANKS)
        )
        return cls(
            stray=float(stray.sum() / max(int(inside.sum()), 1)),
            middle=max(middle, 1.0) / mouth.width,
            flanks=flanks / mouth.width,
        )

    def measure_pointedness(self, own: "LowerLipOutline") -> float:
        """How much lower the flanks are than in a lip of this height that has the shape of `own`, over the width."""
        return self.middle * own.flanks / own.middle - self.flanks


def _fit_lip(colours: Array) -> ColourMixture:
    """The colours of a lip without teeth and hair among the samples [n, 3]."""
    middle = np.median(colours, 0)
    spread = np.median(np.abs(colours - middle), 0) + 1
    red = colours[:, 1] > middle[1] - _SPREADS_APART[1] * spread[1]
    near = np.abs(colours[:, 0] - middle[0]) < _SPREADS_APART[0] * spread[0] + _LEAST_LIGHT
    return ColourMixture.fit_colours(as_float32(colours[red & near]), _COMPONENTS)


def _find_skin(mouth: LevelMouth) -> Mask:
    rows, columns = np.indices(mouth.rgb.shape[:2])
    lips = (rows > mouth.outer_upper - 1) & (rows < mouth.outer_lower + 1)
    lips &= np.abs(columns - lips.shape[1] / 2) <= mouth.width / 2
    away = cv2.distanceTransform((~lips).astype(np.uint8), cv2.DIST_L2, 5)
    ring = (away > _SKIN_RING[0]) & (away < _SKIN_RING[1])
    return np.asarray(ring & (rows > mouth.outer_lower.max() - _SKIN_RISE))


def _to_soft_lab(rgb: Array) -> Array:
    lab = cv2.cvtColor(as_float32(rgb.clip(0, 255) / 255), cv2.COLOR_RGB2Lab)
    return as_float32(cv2.GaussianBlur(lab, (0, 0), 0.8))

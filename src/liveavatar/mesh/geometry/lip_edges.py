"""Where the upper face ends and the lower begins: the line between the lips, as soft masks.

A mouth is a tear in the picture. Everything above the upper lip's inner edge follows the upper lip, everything below
the lower lip's follows the jaw, and what opens between them shows the inside of the mouth. Beyond the corners there
is no tear: the two sides melt into each other over the width of a cheek.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.face_landmarks import (
    INNER_LOWER_LIP,
    INNER_MOUTH_CORNERS,
    INNER_UPPER_LIP,
    CoordinateFrame,
    interpolate_polyline,
)
from liveavatar.mesh.geometry.warp_field import Array, as_float32, remap_image

_MAX_CLOSED_GAP = 0.035
"""An opening up to this many interocular units is taken for closed lips: landmarks are no better than that."""
_WIDE_GAP, _WIDE_ERROR_SHARE = 0.15, 0.15
"""In openings beyond this, interocular units, landmarks are wrong by up to this share: drawn people laugh wider."""
_SEAM_CONTRAST = 15.0
"""Grey levels by which the line between lips is darker than they are; where it is not, landmarks are believed."""
_LOWER_SIDE_TUCK, _LOWER_SIDE_RETREAT = 1.5, 0.6
"""How far the lower side reaches under the upper one on shut lips, and draws back on open ones, times the softness."""
_TEETH_CONTRAST = 12.0
"""Lab's light less red, by which teeth are paler than the lip under them."""
_SOFTNESS_GROWTH = 0.5
"""Growth of the masks' softness with the distance from the mouth's corner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LipEdges:
    """The inner edges of the lips over `columns`, all in pixels of the mouth's own frame."""

    frame: CoordinateFrame
    columns: Array
    upper: Array
    lower: Array
    softness: float

    @classmethod
    def from_portrait(cls, landmarks: Landmarks, unit: float, rgb: Picture) -> "LipEdges":
        """Measure the lips; the seam of a closed mouth is drawn to the darkest line nearby, the edges of an open one to
        where red begins."""
        frame = CoordinateFrame.from_endpoints(
            landmarks[INNER_MOUTH_CORNERS[0]], landmarks[INNER_MOUTH_CORNERS[1]]
        )
        half = (
            float(
                np.linalg.norm(landmarks[INNER_MOUTH_CORNERS[1], :2] - landmarks[INNER_MOUTH_CORNERS[0], :2])
            )
            / 2
        )
        columns = np.linspace(-half, half, 41, dtype=np.float32)
        upper = _smooth_curve(interpolate_polyline(frame, landmarks[list(INNER_UPPER_LIP), :2], columns))
        lower = _smooth_curve(interpolate_polyline(frame, landmarks[list(INNER_LOWER_LIP), :2], columns))
        gap = float((lower - upper).max()) / unit
        if gap <= _MAX_CLOSED_GAP:
            upper = lower = _find_seam(
                frame, columns, as_float32((upper + lower) / 2), rgb, reach=0.03 * unit
            )
        else:
            rim = _find_open_edge if gap < _WIDE_GAP else _find_wide_edge
            reach = (0.035 + _WIDE_ERROR_SHARE * max(gap - _WIDE_GAP, 0)) * unit
            upper = rim(frame, columns, upper, rgb, side=-1, reach=reach)
            lower = rim(frame, columns, lower, rgb, side=1, reach=reach)
            if gap >= _WIDE_GAP:
                lower = _skip_lower_teeth(frame, columns, lower, rgb, reach=0.06 * unit)
        lower = as_float32(np.maximum(lower, upper))
        return cls(frame=frame, columns=columns, upper=upper, lower=lower, softness=max(0.9, 0.008 * unit))

    @property
    def half_width(self) -> float:
        """Half the distance of the mouth's corners, pixels."""
        return float(self.columns[-1])

    @property
    def gap(self) -> float:
        """How far the portrait's own lips are apart, pixels."""
        return float((self.lower - self.upper).max())

    def upper_side_mask(self, positions: Array) -> Array:
        """1 above the lips, 0 below, at portrait positions [h, w, 2]."""
        local = self.frame.to_local(positions)
        return self._soft_mask(local, self._depth_below(local, as_float32((self.upper + self.lower) / 2)))

    def side_opacities(self, upper_at: Array, lower_at: Array) -> tuple[Array, Array]:
        """Opacity of the upper and of the lower side, [h, w] each, given where each side's pixels come from.

        Of a mouth that is shut in the portrait the lower side reaches a little under the upper one, so that it leaves
        no crack; above the lower lip of an open one there are teeth, which must not come along. As the lips part, the
        lower side draws back behind its edge, and takes nothing of the line between them along.
        """
        upper, lower = self.frame.to_local(upper_at), self.frame.to_local(lower_at)
        below, above = self._depth_below(upper, self.upper), -self._depth_below(lower, self.lower)
        hidden = -above
        if self.gap == 0:
            parted = np.float32(0.5 / self.softness) * (below + above)
            hidden += np.float32(self.softness) * np.clip(
                np.float32(_LOWER_SIDE_TUCK) - parted, -_LOWER_SIDE_RETREAT, _LOWER_SIDE_TUCK
            )
        return self._soft_mask(upper, below), 1 - self._soft_mask(lower, hidden) * self._within_corners(lower)

    def opening_mask(self, positions: Array, depth: float) -> Array:
        """Share of each portrait position [h, w, 2] between the portrait's own lips, `depth` pixels down at most."""
        local = self.frame.to_local(positions)
        above, floor = (
            self._depth_below(local, self.upper),
            as_float32(np.minimum(self.lower, self.upper + depth)),
        )
        return as_float32(
            self._within_corners(local)
            * (1 - self._soft_mask(local, above))
            * self._soft_mask(local, self._depth_below(local, floor))
        )

    def _within_corners(self, local: Array) -> Array:
        return as_float32(np.clip((self.half_width - np.abs(local[..., 0])) / self.softness, 0, 1))

    def _depth_below(self, local: Array, edge: Array) -> Array:
        """How far below `edge`, in pixels."""
        index = (local[..., 0] - self.columns[0]) / (self.columns[1] - self.columns[0])
        height = remap_image(
            edge[None], as_float32(np.dstack([index, np.zeros_like(index)])), cv2.INTER_LINEAR
        )
        return as_float32(local[..., 1] - height)

    def _soft_mask(self, local: Array, down: Array) -> Array:
        """1 where `down` is negative, 0 where it is positive; the softer, the further beyond the corners."""
        beyond = np.maximum(np.abs(local[..., 0]) - self.half_width, 0)
        return as_float32(np.clip(0.5 - down / (self.softness + _SOFTNESS_GROWTH * beyond), 0, 1))


def _smooth_curve(curve: Array) -> Array:
    kernel = as_float32([1, 2, 3, 2, 1]) / 9
    smooth = as_float32(np.convolve(np.pad(curve, 2, mode="edge"), kernel, mode="valid"))
    smooth[[0, -1]] = curve[[0, -1]]
    return smooth


def _find_seam(frame: CoordinateFrame, columns: Array, guess: Array, rgb: Picture, reach: float) -> Array:
    """The line between closed lips: in each column the darkest height within `reach` of the guess, smoothed.

    The upper lip's shadow is as dark as the line, but does not end as abruptly: so what is lighter a little further
    down counts too.
    """
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    dark, offsets = _sample_columns(frame, columns, guess, as_float32(luma), reach)
    rise = np.vstack([dark[4:], np.tile(dark[-1], (4, 1))]) - dark
    cost = dark - 1.5 * rise + 12 * (offsets[:, None] / reach) ** 2
    plain = np.clip((np.median(dark, 0) - dark.min(0)) / _SEAM_CONTRAST, 0, 1)
    return _refine_line(columns, guess, as_float32(plain * offsets[np.argmin(cost, 0)]))


def _find_open_edge(
    frame: CoordinateFrame, columns: Array, guess: Array, rgb: Picture, side: int, reach: float
) -> Array:
    """Where an open lip ends: in each column the steepest rise of red towards the lip, which is below for `side` 1.

    Teeth and the dark are both paler than lips, so neither is mistaken for them, and none sticks to a moving lip.
    """
    red = _rgb_to_lab(rgb)[..., 1]
    values, offsets = _sample_columns(frame, columns, guess, as_float32(red), reach)
    rise = side * np.gradient(values, axis=0)
    cost = 0.3 * (offsets[:, None] / reach) ** 2 - rise
    return _refine_line(columns, guess, as_float32(offsets[np.argmin(cost, 0)] + side * 0.1 * reach))


def _find_wide_edge(
    frame: CoordinateFrame, columns: Array, guess: Array, rgb: Picture, side: int, reach: float
) -> Array:
    """As `_rim`, in a mouth wide open: the outermost plain rise of red and light, beyond tongue and lower teeth."""
    light, red, _ = cv2.split(_rgb_to_lab(rgb))
    values, offsets = _sample_columns(frame, columns, guess, as_float32(red + 0.5 * as_float32(light)), reach)
    rise = side * np.gradient(values, axis=0)
    peak = rise >= np.maximum(np.roll(rise, 1, 0), np.roll(rise, -1, 0))
    plain = peak & (rise > 0.4 * rise.max(0))
    found = offsets[np.argmax(plain * (1.1 * reach + side * offsets[:, None]), 0)]
    steady = [np.median(found[max(0, at - 3) : at + 4]) for at in range(len(found))]
    return _refine_line(columns, guess, as_float32(steady) + as_float32(side * 0.05 * reach))


def _skip_lower_teeth(
    frame: CoordinateFrame, columns: Array, edge: Array, rgb: Picture, reach: float
) -> Array:
    """The lower lip's edge, beyond lower teeth on it: they are lighter and less red than the lip below."""
    light, red, _ = cv2.split(_rgb_to_lab(rgb))
    values, _ = _sample_columns(
        frame, columns, as_float32(edge + reach), as_float32(light - as_float32(red)), reach
    )
    found = np.zeros(len(columns), np.float32)
    for column, pale in enumerate(values.T):
        tooth = int(pale[:13].argmax())
        lip = tooth + int(pale[tooth : tooth + 12].argmin())
        if pale[tooth] - pale[lip] > _TEETH_CONTRAST:
            found[column] = (lip + tooth) / 24 * reach
    wide = as_float32(cv2.dilate(found[None], np.ones((1, 5))))[0]
    return as_float32(edge + _smooth_curve(wide))


def _rgb_to_lab(rgb: Picture) -> Array:
    return as_float32(cv2.cvtColor(as_float32(rgb) / np.float32(255), cv2.COLOR_RGB2Lab))


def _sample_columns(
    frame: CoordinateFrame, columns: Array, guess: Array, values: Array, reach: float
) -> tuple[Array, Array]:
    """`values` [h, w] of the picture within `reach` of a line, [25, columns], and the heights relative to it [25]."""
    offsets = np.linspace(-reach, reach, 25, dtype=np.float32)
    local = np.dstack([np.broadcast_to(columns, (25, len(columns))), guess[None] + offsets[:, None]])
    at = as_float32(frame.origin + frame.to_picture_vectors(as_float32(local)))
    soft = cv2.GaussianBlur(values, (0, 0), max(0.5, 0.15 * reach))
    return remap_image(as_float32(soft), at, cv2.INTER_LINEAR), offsets


def _refine_line(columns: Array, guess: Array, offsets: Array) -> Array:
    """The line moved by `offsets`, smoothed. At the corners the shadow of the cheek misleads: there it stays."""
    found = as_float32(guess + offsets)
    for _ in range(3):
        found = _smooth_curve(found)
    trust = np.clip(3 * (1 - np.abs(columns) / columns[-1]), 0, 1)
    return as_float32(trust * found + (1 - trust) * guess)

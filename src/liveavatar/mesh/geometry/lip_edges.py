"""The inner edges of the lips, and soft masks of the two sides of the face that they divide.

Everything above the upper lip's inner edge follows the upper lip, everything below the lower lip's follows the jaw; the
inside of the mouth shows between them. Beyond the corners of the mouth the two sides blend.

Landmarks are accurate to a few pixels, so the edges are searched in the picture. Constants without a source were chosen
by eye on the portraits listed in `docs/mesh.md`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image
from liveavatar.mesh.geometry.curves import CoordinateFrame, interpolate_polyline, sample_curves, smooth_curve
from liveavatar.mesh.geometry.face_landmarks import INNER_LOWER_LIP, INNER_MOUTH_CORNERS, INNER_UPPER_LIP

_COLUMN_COUNT = 41
_SMOOTHING_KERNEL = (1, 2, 3, 2, 1)
_MAX_CLOSED_GAP = 0.035
"""Largest gap that is taken for closed lips, interocular units: the error of landmarks."""
_WIDE_GAP = 0.15
"""Gap from which a mouth is wide open, interocular units: there may be a tongue or lower teeth at its lower edge."""
_SEAM_REACH, _OPEN_REACH, _TEETH_REACH = 0.03, 0.035, 0.06
"""Distances searched around the landmarks for the line between closed lips and for the edge of an open one, and below
that edge for lower teeth; interocular units."""
_WIDE_ERROR_SHARE = 0.15
"""Growth of the reach with the gap beyond _WIDE_GAP: landmarks underestimate the laughs of drawn faces."""
_SEARCH_STEPS = 25
"""Heights that are compared within the reach."""
_SEAM_LENGTH_STEPS = 4
"""The line between closed lips ends within so many search steps below its darkest point."""
_SEAM_RISE_WEIGHT, _SEAM_DISTANCE_WEIGHT = 1.5, 12.0
"""Cost of a height of the line, in grey levels: weights of the rise in brightness below it, and of the squared distance
from the landmarks relative to the reach."""
_SEAM_CONTRAST = 15.0
"""Grey levels by which the line must be darker than its surroundings; with less, landmarks are used in proportion."""
_EDGE_DISTANCE_WEIGHT = 0.3
"""Cost of the squared distance from the landmarks relative to the reach, in units of Lab's a per search step."""
_EDGE_INSET, _WIDE_EDGE_INSET = 0.1, 0.05
"""Shift of an edge into the lip, relative to the reach: no part of a tooth may move with the lip."""
_MIN_PEAK_SHARE = 0.4
"""Least height of a rise that is taken for the edge of a wide mouth, relative to the steepest one in its column."""
_LIGHT_WEIGHT = 0.5
"""Weight of Lab's L beside its a in the edge of a wide mouth."""
_TEETH_CONTRAST = 12.0
"""Difference in Lab's L - a between lower teeth and the lip below them."""
_CORNER_TRUST = 3.0
"""Growth of the trust in the picture with the distance from the corners, per half width: the shadow of the cheek beside
them looks like an edge."""
_MIN_SOFTNESS_PIXELS, _SOFTNESS = 0.9, 0.008
"""Width of the masks' edges: at least in pixels, and in interocular units."""
_SOFTNESS_GROWTH = 0.5
"""Growth of that width with the distance beyond the corners of the mouth."""
_LOWER_SIDE_TUCK, _LOWER_SIDE_RETREAT = 1.5, 0.6
"""How far the lower side reaches under the upper one on closed lips, and draws back on parted ones, relative to the
softness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LipEdges:
    """Heights of the inner edges of the lips over `columns`, in pixels of the mouth's frame.

    `softness` is the width of the masks' edges in pixels.
    """

    frame: CoordinateFrame
    columns: Array
    upper: Array
    lower: Array
    softness: float

    @classmethod
    def from_portrait(cls, landmarks: Landmarks, unit: float, rgb: Picture) -> "LipEdges":
        """Measure the lips of a portrait with `unit` pixels in an interocular unit."""
        corners = landmarks[list(INNER_MOUTH_CORNERS)]
        frame = CoordinateFrame.from_endpoints(*corners)
        half = float(np.linalg.norm((corners[1] - corners[0])[:2])) / 2
        columns = np.linspace(-half, half, _COLUMN_COUNT, dtype=np.float32)
        upper, lower = (
            smooth_curve(interpolate_polyline(frame, landmarks[list(row), :2], columns), _SMOOTHING_KERNEL)
            for row in (INNER_UPPER_LIP, INNER_LOWER_LIP)
        )
        gap = float((lower - upper).max()) / unit
        if gap <= _MAX_CLOSED_GAP:
            middle = as_float32((upper + lower) / 2)
            upper = lower = _find_seam(frame, columns, middle, rgb, _SEAM_REACH * unit)
        else:
            find_edge = _find_open_edge if gap < _WIDE_GAP else _find_wide_edge
            reach = (_OPEN_REACH + _WIDE_ERROR_SHARE * max(gap - _WIDE_GAP, 0)) * unit
            upper = find_edge(frame, columns, upper, rgb, -1, reach)
            lower = find_edge(frame, columns, lower, rgb, 1, reach)
            if gap >= _WIDE_GAP:
                lower = _skip_lower_teeth(frame, columns, lower, rgb, _TEETH_REACH * unit)
        lower = as_float32(np.maximum(lower, upper))
        softness = max(_MIN_SOFTNESS_PIXELS, _SOFTNESS * unit)
        return cls(frame=frame, columns=columns, upper=upper, lower=lower, softness=softness)

    @property
    def half_width(self) -> float:
        """Half the distance of the mouth's corners, pixels."""
        return float(self.columns[-1])

    @property
    def gap(self) -> float:
        """Largest distance between the portrait's own lips, pixels; 0 if they are closed."""
        return float((self.lower - self.upper).max())

    def upper_side_mask(self, positions: Array) -> Array:
        """1 above the middle between the lips, 0 below, at portrait positions [h, w, 2]."""
        local = self.frame.to_local(positions)
        return self._soft_mask(local, self._depth_below(local, as_float32((self.upper + self.lower) / 2)))

    def side_opacities(self, upper_at: Array, lower_at: Array) -> tuple[Array, Array]:
        """Opacity of the upper and of the lower side, [h, w] each, by the portrait positions that each is sampled at.

        If the portrait's mouth is closed, the lower side reaches a little under the upper one, which leaves no crack.
        As the lips part it draws back behind its edge: the dark line between the lips does not move with either.
        """
        upper, lower = self.frame.to_local(upper_at), self.frame.to_local(lower_at)
        below, above = self._depth_below(upper, self.upper), -self._depth_below(lower, self.lower)
        hidden = -above
        if self.gap == 0:
            parted = np.float32(0.5 / self.softness) * (below + above)
            tuck = np.clip(np.float32(_LOWER_SIDE_TUCK) - parted, -_LOWER_SIDE_RETREAT, _LOWER_SIDE_TUCK)
            hidden += np.float32(self.softness) * tuck
        return self._soft_mask(upper, below), 1 - self._soft_mask(lower, hidden) * self._within_corners(lower)

    def opening_mask(self, positions: Array, depth: float) -> Array:
        """1 between the portrait's own lips, at most `depth` pixels below the upper one, at positions [h, w, 2]."""
        local = self.frame.to_local(positions)
        above = self._depth_below(local, self.upper)
        floor = as_float32(np.minimum(self.lower, self.upper + depth))
        return as_float32(
            self._within_corners(local)
            * (1 - self._soft_mask(local, above))
            * self._soft_mask(local, self._depth_below(local, floor))
        )

    def _within_corners(self, local: Array) -> Array:
        return as_float32(np.clip((self.half_width - np.abs(local[..., 0])) / self.softness, 0, 1))

    def _depth_below(self, local: Array, edge: Array) -> Array:
        """Signed distance below the curve `edge` along `v`, pixels."""
        return as_float32(local[..., 1] - sample_curves(self.columns, edge, local[..., 0]))

    def _soft_mask(self, local: Array, down: Array) -> Array:
        """1 where `down` is negative, 0 where it is positive; the edge is the wider, the further beyond the corners."""
        beyond = np.maximum(np.abs(local[..., 0]) - self.half_width, 0)
        return as_float32(np.clip(0.5 - down / (self.softness + _SOFTNESS_GROWTH * beyond), 0, 1))


def _find_seam(frame: CoordinateFrame, columns: Array, guess: Array, rgb: Picture, reach: float) -> Array:
    """Heights of the line between closed lips: dark, and much brighter a little below.

    The shadow under the upper lip is as dark, but does not end as abruptly.
    """
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    dark, offsets = _sample_columns(frame, columns, guess, as_float32(luma), reach)
    skip = _SEAM_LENGTH_STEPS
    rise = np.vstack([dark[skip:], np.tile(dark[-1], (skip, 1))]) - dark
    cost = dark - _SEAM_RISE_WEIGHT * rise + _SEAM_DISTANCE_WEIGHT * (offsets[:, None] / reach) ** 2
    contrast = np.clip((np.median(dark, 0) - dark.min(0)) / _SEAM_CONTRAST, 0, 1)
    return _refine_line(columns, guess, as_float32(contrast * offsets[np.argmin(cost, 0)]))


def _find_open_edge(
    frame: CoordinateFrame, columns: Array, guess: Array, rgb: Picture, side: int, reach: float
) -> Array:
    """Heights of the edge of an open lip: the steepest rise of red (Lab's a) towards the lip.

    The lip lies below the edge if `side` is 1, above it if -1. Teeth and the dark of the mouth are less red than lips.
    """
    red = _rgb_to_lab(rgb)[..., 1]
    values, offsets = _sample_columns(frame, columns, guess, as_float32(red), reach)
    rise = side * np.gradient(values, axis=0)
    cost = _EDGE_DISTANCE_WEIGHT * (offsets[:, None] / reach) ** 2 - rise
    return _refine_line(columns, guess, as_float32(offsets[np.argmin(cost, 0)] + side * _EDGE_INSET * reach))


def _find_wide_edge(
    frame: CoordinateFrame, columns: Array, guess: Array, rgb: Picture, side: int, reach: float
) -> Array:
    """As `_find_open_edge`, in a wide open mouth: the outermost clear rise of red and light.

    Rises further inside are edges of the tongue and of lower teeth.
    """
    light, red, _ = cv2.split(_rgb_to_lab(rgb))
    warmth = as_float32(red + _LIGHT_WEIGHT * as_float32(light))
    values, offsets = _sample_columns(frame, columns, guess, warmth, reach)
    rise = side * np.gradient(values, axis=0)
    peak = rise >= np.maximum(np.roll(rise, 1, 0), np.roll(rise, -1, 0))
    clear = peak & (rise > _MIN_PEAK_SHARE * rise.max(0))
    outermost = offsets[np.argmax(clear * (1.1 * reach + side * offsets[:, None]), 0)]
    steady = [np.median(outermost[max(0, column - 3) : column + 4]) for column in range(len(outermost))]
    return _refine_line(columns, guess, as_float32(steady) + as_float32(side * _WIDE_EDGE_INSET * reach))


def _skip_lower_teeth(
    frame: CoordinateFrame, columns: Array, edge: Array, rgb: Picture, reach: float
) -> Array:
    """Move the edge of the lower lip below lower teeth, which are lighter and less red than the lip."""
    light, red, _ = cv2.split(_rgb_to_lab(rgb))
    paleness = as_float32(light - as_float32(red))
    values, _ = _sample_columns(frame, columns, as_float32(edge + reach), paleness, reach)
    half = _SEARCH_STEPS // 2
    found = np.zeros(len(columns), np.float32)
    for column, pale in enumerate(values.T):
        tooth = int(pale[: half + 1].argmax())
        lip = tooth + int(pale[tooth : tooth + half].argmin())
        if pale[tooth] - pale[lip] > _TEETH_CONTRAST:
            found[column] = (lip + tooth) / (_SEARCH_STEPS - 1) * reach
    wide = as_float32(cv2.dilate(found[None], np.ones((1, 5))))[0]
    return as_float32(edge + smooth_curve(wide, _SMOOTHING_KERNEL))


def _rgb_to_lab(rgb: Picture) -> Array:
    return as_float32(cv2.cvtColor(as_float32(rgb) / np.float32(255), cv2.COLOR_RGB2Lab))


def _sample_columns(
    frame: CoordinateFrame, columns: Array, guess: Array, values: Array, reach: float
) -> tuple[Array, Array]:
    """Values of a picture [h, w] around the curve `guess`, blurred: [s, columns] at s heights `offsets` from it."""
    offsets = np.linspace(-reach, reach, _SEARCH_STEPS, dtype=np.float32)
    local = np.dstack(
        [np.broadcast_to(columns, (_SEARCH_STEPS, len(columns))), guess[None] + offsets[:, None]]
    )
    at = as_float32(frame.origin + frame.to_picture_vectors(as_float32(local)))
    soft = cv2.GaussianBlur(values, (0, 0), max(0.5, 0.15 * reach))
    return remap_image(as_float32(soft), at, cv2.INTER_LINEAR), offsets


def _refine_line(columns: Array, guess: Array, offsets: Array) -> Array:
    """The curve `guess` moved by `offsets` and smoothed; at the corners of the mouth it stays as it is."""
    found = as_float32(guess + offsets)
    for _ in range(3):
        found = smooth_curve(found, _SMOOTHING_KERNEL)
    trust = np.clip(_CORNER_TRUST * (1 - np.abs(columns) / columns[-1]), 0, 1)
    return as_float32(trust * found + (1 - trust) * guess)

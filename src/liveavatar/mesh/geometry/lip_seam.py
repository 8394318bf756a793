"""The seam between shut lips, and soft masks of the two sides of the face that it divides.

Everything above the seam follows the upper lip, everything below it the jaw; the inside of the mouth shows between
them. Beyond the corners of the mouth the two sides blend.

Landmarks are accurate to a few pixels, so the seam is searched in the picture. Constants without a source were chosen
by eye on the portraits listed in `docs/mesh.md`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image
from liveavatar.mesh.geometry.curves import (
    CoordinateFrame,
    interpolate_polyline,
    interpolate_vectors,
    sample_curves,
    smooth_curve,
)
from liveavatar.mesh.geometry.face_landmarks import (
    INNER_LOWER_LIP,
    INNER_MOUTH_CORNERS,
    INNER_UPPER_LIP,
    LOWER_LIP,
    UPPER_LIP,
)
from liveavatar.mesh.geometry.picture_blur import measure_blur

_COLUMN_COUNT = 41
_SMOOTHING_KERNEL = (1, 2, 3, 2, 1)
_REACH = 0.03
"""Distance searched around the landmarks for the line between the lips, interocular units."""
_SEARCH_STEPS = 25
"""Heights that are compared within the reach."""
_LENGTH_STEPS = 4
"""The line ends within so many search steps below its darkest point."""
_RISE_WEIGHT, _DISTANCE_WEIGHT = 1.5, 12.0
"""Cost of a height of the line, in grey levels: weights of the rise in brightness below it, and of the squared distance
from the landmarks relative to the reach."""
_CONTRAST = 15.0
"""Grey levels by which the line must be darker than its surroundings; with less, landmarks are used in proportion."""
_CORNER_TRUST = 3.0
"""Growth of the trust in the picture with the distance from the corners, per half width: the shadow of the cheek beside
them looks like an edge."""
_MIN_SOFTNESS_PIXELS, _SOFTNESS = 0.9, 0.008
"""Width of the masks' edges: at least in pixels, and in interocular units."""
_LINE_WIDTH = 0.0035
"""Width of a drawn line relative to the mouth's."""
_SHARP_BLUR, _BLUR_WIDTH = 1.1, 3.46
"""Blur up to which a picture is sharp, pixels, and the width of a ramp relative to the deviation of its blur (√12)."""
_SOFTNESS_GROWTH = 0.5
"""Growth of that width with the distance beyond the corners of the mouth."""
_LOWER_SIDE_TUCK, _LOWER_SIDE_RETREAT = 1.5, 0.6
"""How far the lower side reaches under the upper one on closed lips, and draws back on parted ones, relative to the
softness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LipSeam:
    """`heights` of the seam over `columns`, in pixels of the mouth's frame.

    `softness` is the width of the masks' edges, `line` the standard deviation of a line drawn along the seam, both in
    pixels; lips draw back behind it as they part. It is 0 if the line is the picture's own.
    """

    frame: CoordinateFrame
    columns: Array
    heights: Array
    softness: float
    line: float

    @classmethod
    def from_picture(cls, landmarks: Landmarks, unit: float, rgb: Picture) -> "LipSeam":
        """Measure the seam of a portrait with shut lips and `unit` pixels in an interocular unit."""
        frame, columns, (upper, lower) = _trace_landmarks(landmarks)
        guess = as_float32((upper + lower) / 2)
        seam = _find_seam(frame, columns, guess, rgb, _REACH * unit)
        softness = _choose_softness(unit, measure_blur(rgb, landmarks))
        return cls(frame=frame, columns=columns, heights=seam, softness=softness, line=0.0)

    @classmethod
    def from_points(cls, points: Array, unit: float, blur: float) -> "LipSeam":
        """The seam along `points` [n, 2], from the left corner of the mouth to the right one.

        Its line has been drawn into the picture, with the picture's `blur`.
        """
        frame = CoordinateFrame.from_endpoints(points[0], points[-1])
        half = float(np.linalg.norm(points[-1] - points[0])) / 2
        columns = np.linspace(-half, half, _COLUMN_COUNT, dtype=np.float32)
        heights = interpolate_polyline(frame, points, columns)
        line = choose_line_width(2 * half, blur)
        softness = _choose_softness(unit, blur)
        return cls(frame=frame, columns=columns, heights=heights, softness=softness, line=line)

    @property
    def half_width(self) -> float:
        """Half the distance of the mouth's corners, pixels."""
        return float(self.columns[-1])

    def snap_landmarks(self, landmarks: Landmarks) -> Landmarks:
        """`landmarks` with the inner lips moved onto the seam; the lips move along."""
        moved = landmarks.copy()
        local = self.frame.to_local(landmarks[:, :2])
        for row, lip in ((INNER_UPPER_LIP, UPPER_LIP), (INNER_LOWER_LIP, LOWER_LIP)):
            inner = local[list(row)]
            rise = np.interp(inner[:, 0], self.columns, self.heights) - inner[:, 1]
            points = np.array([*lip, *row])
            shifts = interpolate_vectors(
                inner[:, 0], as_float32(np.stack([0 * rise, rise], -1)), local[points, 0]
            )
            moved[points, :2] += self.frame.to_picture_vectors(shifts)
        return moved

    def upper_side_mask(self, positions: Array) -> Array:
        """1 above the seam, 0 below, at portrait positions [h, w, 2]."""
        local = self.frame.to_local(positions)
        return self._soft_mask(local, self.depth_below(local))

    def side_opacities(self, upper_at: Array, lower_at: Array) -> tuple[Array, Array]:
        """Opacity of the upper and of the lower side, [h, w] each, by the portrait positions that each is sampled at.

        The lower side reaches a little under the upper one, which leaves no crack. As the lips part it draws back
        behind its edge: the dark line between the lips does not move with either.
        """
        upper, lower = self.frame.to_local(upper_at), self.frame.to_local(lower_at)
        below, above = self.depth_below(upper), -self.depth_below(lower)
        apart = below + above
        tuck = np.clip(
            np.float32(_LOWER_SIDE_TUCK) - apart * np.float32(0.5 / self.softness),
            -_LOWER_SIDE_RETREAT,
            _LOWER_SIDE_TUCK,
        )
        hidden = -above + np.float32(self.softness) * tuck
        if self.line:
            retreat = np.clip(apart - np.float32(self.line), 0, self.line)
            below, hidden = below + retreat, hidden - retreat
        return self._soft_mask(upper, below), 1 - self._soft_mask(lower, hidden) * self._within_corners(lower)

    def depth_below(self, local: Array) -> Array:
        """Distance below the seam along `v`, pixels, at positions [..., 2] in the mouth's frame; negative above it."""
        return as_float32(local[..., 1] - sample_curves(self.columns, self.heights, local[..., 0]))

    def _within_corners(self, local: Array) -> Array:
        return as_float32(np.clip((self.half_width - np.abs(local[..., 0])) / self.softness, 0, 1))

    def _soft_mask(self, local: Array, down: Array) -> Array:
        """1 where `down` is negative, 0 where it is positive; the edge is the wider, the further beyond the corners."""
        beyond = np.maximum(np.abs(local[..., 0]) - self.half_width, 0)
        return as_float32(np.clip(0.5 - down / (self.softness + _SOFTNESS_GROWTH * beyond), 0, 1))


def measure_lip_gap(landmarks: Landmarks) -> float:
    """The largest distance of the inner lips by landmarks, pixels."""
    _, _, (upper, lower) = _trace_landmarks(landmarks)
    return float((lower - upper).max())


def choose_line_width(mouth: float, blur: float) -> float:
    """Standard deviation of the line drawn between lips `mouth` pixels wide in a picture with `blur` pixels."""
    return float(np.hypot(_LINE_WIDTH * mouth, blur))


def _choose_softness(unit: float, blur: float) -> float:
    """Width of the masks' edges in a picture with `blur` pixels."""
    beyond = max(0.0, blur**2 - _SHARP_BLUR**2) ** 0.5
    return float(max(_MIN_SOFTNESS_PIXELS, _SOFTNESS * unit, _BLUR_WIDTH * beyond))


def _trace_landmarks(landmarks: Landmarks) -> tuple[CoordinateFrame, Array, tuple[Array, Array]]:
    """The mouth's frame, columns, and over them the inner edges of both lips by landmarks."""
    corners = landmarks[list(INNER_MOUTH_CORNERS)]
    frame = CoordinateFrame.from_endpoints(*corners)
    half = float(np.linalg.norm((corners[1] - corners[0])[:2])) / 2
    columns = np.linspace(-half, half, _COLUMN_COUNT, dtype=np.float32)
    upper, lower = (
        smooth_curve(interpolate_polyline(frame, landmarks[list(row), :2], columns), _SMOOTHING_KERNEL)
        for row in (INNER_UPPER_LIP, INNER_LOWER_LIP)
    )
    return frame, columns, (upper, lower)


def _find_seam(frame: CoordinateFrame, columns: Array, guess: Array, rgb: Picture, reach: float) -> Array:
    """Heights of the line between closed lips: dark, and much brighter a little below.

    The shadow under the upper lip is as dark, but does not end as abruptly.
    """
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    dark, offsets = _sample_columns(frame, columns, guess, as_float32(luma), reach)
    skip = _LENGTH_STEPS
    rise = np.vstack([dark[skip:], np.tile(dark[-1], (skip, 1))]) - dark
    cost = dark - _RISE_WEIGHT * rise + _DISTANCE_WEIGHT * (offsets[:, None] / reach) ** 2
    contrast = np.clip((np.median(dark, 0) - dark.min(0)) / _CONTRAST, 0, 1)
    return _refine_line(columns, guess, as_float32(contrast * offsets[np.argmin(cost, 0)]))


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

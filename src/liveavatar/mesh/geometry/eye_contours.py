"""The curves of an eye: lids, and the skin that moves with them.

In the eye's frame, heights `v` over columns along `u`: `crease`, above which skin does not move; the `upper` and the
`lower` lid; `cheek`, below which skin does not move.
"""

from dataclasses import dataclass

import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.curves import CoordinateFrame, interpolate_polyline, sample_curves, smooth_curve
from liveavatar.mesh.geometry.face_landmarks import EyeLandmarks

_REACH_BEYOND_CORNERS, _REACH_BEYOND_SKIN = 0.35, 0.08
"""Margins of the rectangle that moves, sideways from the corners and upwards and downwards from the moving skin,
relative to the eye's width: lashes, and the error of landmarks."""
_COLUMN_COUNT = 33
_SMOOTHING_KERNEL = (1, 3, 6, 7, 6, 3, 1)
_BROW_SHARE = 0.65
"""Position of the crease between lid and brow. Skin is taken from most of the way, so that it stretches little."""
_MIN_CREASE_HEIGHT, _MIN_CHEEK_HEIGHT, _MIN_CHEEK_REACH = 0.8, 0.6, 0.16
"""Least distances of the crease from the upper lid and of the cheek from the lower one, relative to the opening; of the
cheek also relative to the eye's width."""
_MIN_SOFTNESS_PIXELS, _SOFTNESS = 0.6, 0.012
"""Width of the edges of the lids: at least in pixels, and relative to the eye's width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeContours:
    """The four curves of one eye of a portrait, in pixels; `width` is the distance of its corners."""

    frame: CoordinateFrame
    width: float
    columns: Array
    crease: Array
    upper: Array
    lower: Array
    cheek: Array
    softness: float

    @classmethod
    def from_landmarks(cls, eye: EyeLandmarks, landmarks: Landmarks, scale: float = 1.0) -> "EyeContours":
        """Measure an eye in landmarks [478, 3]; those of the lids are moved from its middle by `scale`."""
        landmarks = landmarks.copy()
        lids = [*eye.upper, *eye.lower]
        middle = landmarks[lids].mean(0)
        landmarks[lids] = middle + np.float32(scale) * (landmarks[lids] - middle)
        corners = landmarks[[eye.upper[0], eye.upper[-1]]]
        frame = CoordinateFrame.from_endpoints(*corners)
        ends = frame.to_local(corners[:, :2])[:, 0]
        width = float(ends[1] - ends[0])
        columns = np.linspace(ends[0], ends[1], _COLUMN_COUNT, dtype=np.float32)
        upper, lower, brow = (
            interpolate_polyline(frame, landmarks[list(points), :2], columns)
            for points in (eye.upper, eye.lower, eye.brow)
        )
        upper = smooth_curve(upper, _SMOOTHING_KERNEL)
        lower = as_float32(np.maximum(smooth_curve(lower, _SMOOTHING_KERNEL), upper))
        opening = float((lower - upper).max())
        crease = np.minimum(
            upper - _MIN_CREASE_HEIGHT * opening, (1 - _BROW_SHARE) * upper + _BROW_SHARE * brow
        )
        return cls(
            frame=frame,
            width=width,
            columns=columns,
            crease=as_float32(crease),
            upper=upper,
            lower=lower,
            cheek=as_float32(lower + max(_MIN_CHEEK_HEIGHT * opening, _MIN_CHEEK_REACH * width, 1.0)),
            softness=max(_MIN_SOFTNESS_PIXELS, _SOFTNESS * width),
        )

    @property
    def moving_corners(self) -> Array:
        """Corners in the picture of the rectangle that moves in blinks, [4, 2]."""
        beside, beyond = _REACH_BEYOND_CORNERS * self.width + 1, _REACH_BEYOND_SKIN * self.width + 1
        left, right = self.columns[0] - beside, self.columns[-1] + beside
        top, bottom = self.crease.min() - beyond, self.cheek.max() + beyond
        corners = as_float32([[left, top], [right, top], [right, bottom], [left, bottom]])
        return as_float32(self.frame.origin + self.frame.to_picture_vectors(corners))

    def curve_heights(self, u: Array) -> tuple[Array, ...]:
        """Heights of crease, upper lid, lower lid and cheek at `u` [h, w]; [h, w] each."""
        curves = np.stack([self.crease, self.upper, self.lower, self.cheek], -1)
        found = sample_curves(self.columns, curves, u)
        return tuple(as_float32(found[..., curve]) for curve in range(4))

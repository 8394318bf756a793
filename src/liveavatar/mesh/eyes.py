"""Blinks and gaze, exact in closed form: a lid slides over an eyeball, the skin above it stretches.

In each eye's own frame the picture is cut along `v` by five curves over `u`: where the moving skin begins (`crease`),
the upper lid, the lower lid, and where the skin below is at rest again (`cheek`). A blink moves the lid curves and
stretches the skin between them; between the lids lies the eyeball, which only follows the gaze.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.anatomy import Eye, Frame2D, polyline
from liveavatar.mesh.field import Array, floats, remap

_LOWER_LID_SHARE = 0.12
"""Of the way to a closed eye, the lower lid goes this much and the upper one the rest (Evinger 1991)."""
_SHUT = 0.97
"""Share of the opening that a full blink closes: the lashes' line stays visible."""
_GAZE_TO_EYE_WIDTH = 0.42
"""An eyeball's radius over the visible width of the eye: an angle of one radian moves the iris by this much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeWarp:
    """One eye of one portrait. `box` (x0, y0, x1, y1) bounds all that ever moves, in picture pixels."""

    frame: Frame2D
    width: float
    columns: Array
    crease: Array
    upper: Array
    lower: Array
    cheek: Array
    softness: float

    @classmethod
    def of(cls, eye: Eye, landmarks: Landmarks) -> "EyeWarp":
        """Measure the eye."""
        frame = Frame2D.between(landmarks[eye.upper[0]], landmarks[eye.upper[-1]])
        ends = frame.local(landmarks[[eye.upper[0], eye.upper[-1]], :2])[:, 0]
        width = float(ends[1] - ends[0])
        columns = np.linspace(ends[0], ends[1], 33, dtype=np.float32)
        upper = _smooth(polyline(frame, landmarks[list(eye.upper), :2], columns))
        lower = _smooth(polyline(frame, landmarks[list(eye.lower), :2], columns))
        lower = floats(np.maximum(lower, upper))
        brow = polyline(frame, landmarks[list(eye.brow), :2], columns)
        opening = float((lower - upper).max())
        # Skin is taken from the whole way up to the brow, so that it stretches rather than smears.
        crease = np.minimum(upper - 0.8 * opening, 0.35 * upper + 0.65 * brow)
        return cls(
            frame=frame,
            width=width,
            columns=columns,
            crease=floats(crease),
            upper=upper,
            lower=lower,
            cheek=floats(lower + max(0.6 * opening, 1.0)),
            softness=max(0.6, 0.012 * width),
        )

    @property
    def box(self) -> Array:
        """Corners of the region that moves, in the picture, [4, 2]."""
        left, right = self.columns[0] - 1, self.columns[-1] + 1
        top, bottom = self.crease.min() - 1, self.cheek.max() + 1
        corners = floats([[left, top], [right, top], [right, bottom], [left, bottom]])
        return floats(self.frame.origin + self.frame.vectors(corners))

    def warp(self, at: Array, blink: float, gaze: tuple[float, float]) -> tuple[Array, Array, Array]:
        """Where to sample for pixels at portrait positions `at` [h, w, 2].

        Returns:
            positions for the skin, positions for the eyeball, and the share of eyeball 0…1 [h, w].
        """
        local = self.frame.local(at)
        u, v = local[..., 0], local[..., 1]
        crease, upper, lower, cheek = self._curves(u)
        travel = np.clip(lower - upper, 0, None) * np.float32(blink * _SHUT)
        lid, floor = upper + travel * (1 - _LOWER_LID_SHARE), lower - travel * _LOWER_LID_SHARE
        above = crease + (v - crease) * (upper - crease) / np.maximum(lid - crease, 0.5)
        below = cheek + (v - cheek) * (cheek - lower) / np.maximum(cheek - floor, 0.5)
        middle = (lid + floor) / 2
        moved = np.where(v < middle, above, below)
        inside = (v > crease) & (v < cheek) & (u > self.columns[0]) & (u < self.columns[-1])
        skin = np.where(inside, moved, v)
        ball = np.clip((v - lid) / self.softness + 0.5, 0, 1) * np.clip(
            (floor - v) / self.softness + 0.5, 0, 1
        )
        ball *= np.clip((np.minimum(u - self.columns[0], self.columns[-1] - u)) / (0.06 * self.width), 0, 1)
        skin_at = at + self.frame.vectors(np.dstack([np.zeros_like(u), skin - v]))
        return skin_at, self._eyeball(at, u, gaze), floats(ball)

    def _curves(self, u: Array) -> tuple[Array, ...]:
        """The heights of crease, upper lid, lower lid and cheek above each `u`."""
        index = (u - self.columns[0]) / (self.columns[1] - self.columns[0])
        row = np.dstack([self.crease, self.upper, self.lower, self.cheek])
        heights = remap(row, floats(np.dstack([index, np.zeros_like(index)])), cv2.INTER_LINEAR)
        return tuple(floats(heights[..., curve]) for curve in range(4))

    def _eyeball(self, at: Array, u: Array, gaze: tuple[float, float]) -> Array:
        # The iris slides; towards the corners the white stays where it is, as on a sphere seen from the front.
        hold = np.clip(1 - (u / (0.5 * self.width)) ** 2, 0, 1)
        reach = np.float32(_GAZE_TO_EYE_WIDTH * self.width)
        shift = np.dstack([hold * reach * np.float32(gaze[0]), hold * reach * np.float32(gaze[1])])
        return at - self.frame.vectors(shift)


def _smooth(curve: Array) -> Array:
    padded = np.pad(curve, 3, mode="edge")
    kernel = floats([1, 3, 6, 7, 6, 3, 1])
    smooth = floats(np.convolve(padded, kernel / kernel.sum(), mode="valid"))
    smooth[[0, -1]] = curve[[0, -1]]
    return smooth

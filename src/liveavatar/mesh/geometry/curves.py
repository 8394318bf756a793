"""Local coordinate frames of mouth and eyes, and curves `v(u)` in them.

A curve is an array of heights `v` over evenly spaced `columns` along `u`, all in pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinateFrame:
    """A rotated frame in the picture: `u` along `axis`, `v` across it (down in an upright face), both in pixels."""

    origin: Array
    axis: Array

    @classmethod
    def from_endpoints(cls, left: Array, right: Array) -> "CoordinateFrame":
        """The frame with its origin halfway between two points and its axis from `left` to `right`."""
        span = (right - left)[:2]
        return cls(origin=as_float32((left + right)[:2] / 2), axis=as_float32(span / np.linalg.norm(span)))

    def to_local(self, points: Array) -> Array:
        """Picture positions [..., 2] as positions (u, v) in this frame."""
        (x, y), (cos, sin) = self.origin.tolist(), self.axis.tolist()
        return _transform_points(points, [[cos, sin, -x * cos - y * sin], [-sin, cos, x * sin - y * cos]])

    def to_picture_vectors(self, local_vectors: Array) -> Array:
        """Directions (u, v) [..., 2] as directions in the picture."""
        cos, sin = self.axis.tolist()
        return _transform_points(local_vectors, [[cos, -sin], [sin, cos]])


def _transform_points(points: Array, matrix: list[list[float]]) -> Array:
    """Each of `points` [..., 2] multiplied by a 2 x 2 or, with translation, a 2 x 3 matrix."""
    row = as_float32(points).reshape(1, -1, 2)
    return as_float32(cv2.transform(row, np.array(matrix))).reshape(points.shape)


def interpolate_polyline(frame: CoordinateFrame, points: Array, columns: Array) -> Array:
    """Height `v` at `columns` of the line through `points` [n, 2] of the picture; constant beyond its ends."""
    local = frame.to_local(points)
    order = np.argsort(local[:, 0], kind="stable")
    return as_float32(np.interp(columns, local[order, 0], local[order, 1]))


def smooth_curve(curve: Array, kernel: tuple[int, ...]) -> Array:
    """`curve` filtered by `kernel`, which is normalised and has an odd length; both end values are unchanged."""
    weights = as_float32(kernel)
    padded = np.pad(curve, len(kernel) // 2, mode="edge")
    smooth = as_float32(np.convolve(padded, weights / weights.sum(), mode="valid"))
    smooth[[0, -1]] = curve[[0, -1]]
    return smooth


def sample_curves(columns: Array, curves: Array, u: Array) -> Array:
    """`curves` [n] or [n, c] over `columns` [n] at `u` [h, w]: [h, w] or [h, w, c], constant beyond the ends."""
    index = (u - columns[0]) / (columns[1] - columns[0])
    return remap_image(curves[None], as_float32(np.dstack([index, np.zeros_like(index)])), cv2.INTER_LINEAR)


def interpolate_vectors(u: Array, vectors: Array, positions: Array) -> Array:
    """`vectors` [n, 2] at ascending `u` [n], interpolated at `positions` [m] along `u`: [m, 2]."""
    return as_float32(np.stack([np.interp(positions, u, axis) for axis in vectors.T], -1))

"""Smooth displacement fields: from moved landmarks to a moved picture.

A *shape* says how far each landmark goes. A `FieldBasis` spreads every shape over a coarse grid once (thin-plate
splines, Bookstein 1989), so that a frame is one weighted sum; `invert` turns "where does this point go" into
"where does this pixel come from", which is what a picture is sampled with.

Fields are float32 [rows, columns, 2], in pixels, x before y.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_SMOOTHING = 1e-3
"""Added to the spline's diagonal, in squared units of the points' spread: landmarks are only good to a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Nodes that cover the box from `origin` (x, y), `step` pixels apart, `columns` x `rows` of them."""

    origin: tuple[float, float]
    step: float
    columns: int
    rows: int

    def nodes(self) -> Array:
        """Positions in pixels, [rows, columns, 2]."""
        x = self.origin[0] + self.step * np.arange(self.columns, dtype=np.float32)
        y = self.origin[1] + self.step * np.arange(self.rows, dtype=np.float32)
        return np.dstack(np.meshgrid(x, y)).astype(np.float32)

    def sample(self, field: Array, at: Array) -> Array:
        """`field` at positions `at` (pixels, [..., ..., 2]), linear between nodes, clamped outside."""
        index = (at - np.float32(self.origin)) / np.float32(self.step)
        return remap(field, index, cv2.INTER_LINEAR)

    def to_pixels(self, field: Array, box: tuple[int, int, int, int]) -> Array:
        """`field` at every pixel of `box` (x0, y0, x1, y1), linear between nodes."""
        x0, y0, x1, y1 = box
        scale = 1 / self.step
        affine = np.float32([[scale, 0, (x0 - self.origin[0]) * scale], [0, scale, (y0 - self.origin[1]) * scale]])
        size = (x1 - x0, y1 - y0)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(field, affine, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def remap(image: NDArray[np.generic], at: Array, interpolation: int) -> NDArray[np.generic]:
    """`image` at float positions `at` [h, w, 2]; edges are repeated."""
    return np.asarray(cv2.remap(image, at, None, interpolation, borderMode=cv2.BORDER_REPLICATE))  # type: ignore


def spline_matrix(points: Array, at: Array) -> Array:
    """Thin-plate spline as a matrix: values at `points` [n, 2] to values at `at` [m, 2]; shape [m, n]."""
    centre = points.mean(0)
    spread = float(np.sqrt(((points - centre) ** 2).sum(1).mean()))
    source, target = (points - centre) / spread, (at - centre) / spread
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(source, source) + _SMOOTHING * np.eye(count)
    system[:count, count:] = _affine(source)
    system[count:, :count] = _affine(source).T
    inverse = np.linalg.inv(system)[:, :count]
    return (np.hstack([_kernel(target, source), _affine(target)]) @ inverse).astype(np.float32)


def _kernel(a: Array, b: Array) -> NDArray[np.float64]:
    squared = ((a[:, None].astype(np.float64) - b[None]) ** 2).sum(-1)
    return 0.5 * squared * np.log(np.maximum(squared, 1e-12))


def _affine(points: Array) -> NDArray[np.float64]:
    return np.hstack([np.ones((len(points), 1)), points])


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldBasis:
    """One field a shape, flattened: `fields` [shapes, rows*columns*2] on `grid`."""

    grid: Grid
    fields: Array

    @classmethod
    def from_shapes(cls, grid: Grid, points: Array, shapes: Array, pinned: Array) -> "FieldBasis":
        """Spread `shapes` [k, n, 2] given at `points` [n, 2] over the grid; `pinned` [p, 2] stay where they are."""
        nodes = grid.nodes().reshape(-1, 2)
        matrix = spline_matrix(np.vstack([points, pinned]), nodes)[:, : len(points)]
        fields = np.einsum("mn,knd->kmd", matrix, shapes, optimize=True)
        return cls(grid=grid, fields=np.ascontiguousarray(fields.reshape(len(shapes), -1), dtype=np.float32))

    def field(self, weights: Array) -> Array:
        """Weighted sum of the shapes' fields."""
        return (weights @ self.fields).reshape(self.grid.rows, self.grid.columns, 2)


def invert(grid: Grid, forward: Array, at: Array, rounds: int = 6) -> Array:
    """Where the points that now stand at `at` [h, w, 2] came from: solves x + forward(x) = at by fixed point."""
    source = at - grid.sample(forward, at)
    for _ in range(rounds - 1):
        source = at - grid.sample(forward, source)
    return source

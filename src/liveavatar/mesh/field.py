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

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the last two exclusive."""

_SMOOTHING = 1e-3
"""Added to the spline's diagonal, in squared units of the points' spread: landmarks are only good to a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Nodes in the middle of `columns` x `rows` tiles of `step` pixels; the first tile's corner is pixel `origin`.

    Tiles, because enlarging one value a tile to one a pixel is then a plain resize.
    """

    origin: tuple[int, int]
    step: int
    columns: int
    rows: int

    def nodes(self) -> Array:
        """Positions in pixels, [rows, columns, 2]."""
        x = self._first[0] + self.step * np.arange(self.columns, dtype=np.float32)
        y = self._first[1] + self.step * np.arange(self.rows, dtype=np.float32)
        return np.dstack(np.meshgrid(x, y)).astype(np.float32)

    @property
    def box(self) -> Box:
        """The pixels under the tiles."""
        x, y = self.origin
        return x, y, x + self.columns * self.step, y + self.rows * self.step

    @property
    def _first(self) -> Array:
        return np.float32(self.origin) + np.float32((self.step - 1) / 2)

    def sample(self, field: Array, at: Array) -> Array:
        """`field` at positions `at` (pixels, [..., ..., 2]), linear between nodes, clamped outside."""
        return remap(field, (at - self._first) / np.float32(self.step), cv2.INTER_LINEAR)

    def to_pixels(self, field: Array, box: Box) -> Array:
        """`field` at every pixel of `box`, which lies under the tiles; linear between nodes."""
        (x0, y0, x1, y1), (left, top) = box, self.origin
        first = [max(0, (start - corner) // self.step - 1) for start, corner in ((x0, left), (y0, top))]
        last = [(end - corner) // self.step + 2 for end, corner in ((x1, left), (y1, top))]
        part = field[first[1] : last[1], first[0] : last[0]]
        size = (part.shape[1] * self.step, part.shape[0] * self.step)
        pixels = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR))
        x, y = x0 - left - first[0] * self.step, y0 - top - first[1] * self.step
        return pixels[y : y + y1 - y0, x : x + x1 - x0]


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
    """How far the points that now stand at `at` [h, w, 2] have come: d with d = forward(at - d), by fixed point."""
    moved = grid.sample(forward, at)
    for _ in range(rounds - 1):
        moved = grid.sample(forward, at - moved)
    return moved

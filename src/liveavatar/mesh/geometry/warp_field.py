"""Smooth displacement fields: from displaced landmarks to a warped picture.

A *shape* is a displacement of every landmark. A `FieldBasis` interpolates each shape over a coarse grid once
(thin-plate splines: Bookstein, IEEE TPAMI 11(6), 1989), so the field of a frame is one weighted sum. That field is a
forward map; `invert_field` computes the backward map, with which a picture is sampled.

Fields are float32 [rows, columns, 2], in pixels, x before y.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image
from liveavatar.mesh.geometry.boxes import PixelBox


@dataclass(frozen=True, slots=True, kw_only=True)
class WarpGrid:
    """Nodes in the middle of `columns` x `rows` square tiles of `step` pixels; the first tile begins at pixel `origin`.

    With one node per tile, upsampling from nodes to pixels is a plain resize.
    """

    origin: tuple[int, int]
    step: int
    columns: int
    rows: int

    def node_positions(self) -> Array:
        """Positions of the nodes in pixels, [rows, columns, 2]; a read-only view."""
        return _padded_node_positions(self)[1:-1, 1:-1]

    @property
    def box(self) -> PixelBox:
        """The pixels that the tiles cover."""
        x, y = self.origin
        return x, y, x + self.columns * self.step, y + self.rows * self.step

    @property
    def first_node(self) -> Array:
        """Position of the first node in pixels, [2]."""
        return as_float32(self.origin) + as_float32((self.step - 1) / 2)

    def sample_field(self, field: Array, positions: Array) -> Array:
        """`field` at `positions` [h, w, 2] in pixels, linear between nodes, constant outside."""
        return remap_image(field, self.to_grid_units(positions), cv2.INTER_LINEAR)

    def to_grid_units(self, positions: Array) -> Array:
        """Positions in pixels as fractional node numbers (column, row)."""
        (x, y), each = self.first_node.tolist(), 1 / self.step
        return as_float32(cv2.transform(positions, np.array([[each, 0, -x * each], [0, each, -y * each]])))

    def field_to_positions(self, field: Array) -> Array:
        """Absolute positions from displacements: each node's position plus `field`, [rows + 2, columns + 2, 2].

        A ring of nodes around the grid repeats the outermost displacements, for the pixels between the outermost nodes
        and the rim of the tiles.
        """
        ring = cv2.copyMakeBorder(field, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        return np.add(ring, _padded_node_positions(self), out=as_float32(ring))

    def upsample_to_pixels(self, node_values: Array, box: PixelBox) -> Array:
        """The result of `field_to_positions`, or a multiple of it, at every pixel of `box`, [h, w, 2].

        `box` lies within the tiles.
        """
        (x0, y0, x1, y1), (left, top), step = box, self.origin, self.step
        column, row = (x0 - left) // step, (y0 - top) // step
        part = node_values[row : (y1 - top) // step + 3, column : (x1 - left) // step + 3]
        pixels = cv2.resize(
            part, (part.shape[1] * step, part.shape[0] * step), interpolation=cv2.INTER_LINEAR
        )
        x, y = x0 - left - (column - 1) * step, y0 - top - (row - 1) * step
        return as_float32(pixels[y : y + y1 - y0, x : x + x1 - x0])


@lru_cache(maxsize=16)
def _padded_node_positions(grid: WarpGrid) -> Array:
    """Positions of the nodes and of one ring of nodes around them, [rows + 2, columns + 2, 2]."""
    x = grid.first_node[0] + grid.step * np.arange(-1, grid.columns + 1, dtype=np.float32)
    y = grid.first_node[1] + grid.step * np.arange(-1, grid.rows + 1, dtype=np.float32)
    positions = as_float32(np.dstack(np.meshgrid(x, y)))
    positions.flags.writeable = False
    return positions


def thin_plate_spline(points: Array, values: Array, queries: Array, smoothing: float = 1e-3) -> Array:
    """The smoothing thin-plate spline of `values` [n, c] at `points` [n, 2], evaluated at `queries` [m, 2]: [m, c].

    `smoothing` is added to the diagonal of the system, whose points have a root mean square radius of 1. Landmarks are
    accurate to about a pixel: a field that interpolates each of them exactly ripples.
    """
    centre = points.mean(0)
    spread = float(np.sqrt(((points - centre) ** 2).sum(1).mean()))
    source, target = (points - centre) / spread, (queries - centre) / spread
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _thin_plate_kernel(source, source) + smoothing * np.eye(count)
    system[:count, count:] = _affine_terms(source)
    system[count:, :count] = _affine_terms(source).T
    known = np.vstack([values, np.zeros((3, values.shape[1]))])
    weights = as_float32(np.linalg.solve(system, known))
    return as_float32(
        _thin_plate_kernel(target, source) @ weights[:count] + _affine_terms(target) @ weights[count:]
    )


def _thin_plate_kernel(a: Array, b: Array) -> Array:
    squared = np.square(a[:, None, 0] - b[None, :, 0]) + np.square(a[:, None, 1] - b[None, :, 1])
    return as_float32(0.5 * squared * np.log(np.maximum(squared, 1e-12)))


def _affine_terms(points: Array) -> Array:
    return as_float32(np.hstack([np.ones((len(points), 1)), points]))


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldBasis:
    """One displacement field per shape on `grid`: `fields` [shapes, rows * columns * 2]."""

    grid: WarpGrid
    fields: Array

    @classmethod
    def from_shapes(
        cls, grid: WarpGrid, points: Array, shapes: Array, pinned: Array, smoothing: float
    ) -> "FieldBasis":
        """Interpolate `shapes` [k, n, 2], the displacements of `points` [n, 2]; points `pinned` [p, 2] do not move."""
        count, known = shapes.shape[:2]
        values = np.zeros((known + len(pinned), count, 2), np.float32)
        values[:known] = shapes.transpose(1, 0, 2)
        nodes = grid.node_positions().reshape(-1, 2)
        all_points = np.vstack([points, pinned])
        fields = thin_plate_spline(all_points, values.reshape(len(values), -1), nodes, smoothing)
        fields = fields.reshape(len(nodes), count, 2).transpose(1, 0, 2).reshape(count, -1)
        return cls(grid=grid, fields=np.ascontiguousarray(fields))

    def combine_fields(self, weights: Array) -> Array:
        """The sum of the fields with `weights` [shapes], [rows, columns, 2]."""
        return (weights @ self.fields).reshape(self.grid.rows, self.grid.columns, 2)


def invert_field(grid: WarpGrid, forward: Array, positions: Array, iterations: int = 6) -> Array:
    """Backward displacement at `positions` [h, w, 2]: d with d = forward(positions - d), by fixed-point iteration."""
    step = np.float32(grid.step)
    here, steps = grid.to_grid_units(positions), forward / step
    moved = remap_image(steps, here, cv2.INTER_LINEAR)
    for _ in range(iterations - 1):
        moved = remap_image(steps, here - moved, cv2.INTER_LINEAR)
    return moved * step

"""Smooth displacement fields: from moved landmarks to a moved picture.

A *shape* says how far each landmark goes. A `FieldBasis` spreads every shape over a coarse grid once (thin-plate
splines, Bookstein 1989), so that a frame is one weighted sum; `invert` turns "where does this point go" into
"where does this pixel come from", which is what a picture is sampled with.

Fields are float32 [rows, columns, 2], in pixels, x before y.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]

Pixel = TypeVar("Pixel", np.uint8, np.float32)

PixelBox = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the last two exclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarpGrid:
    """Nodes in the middle of `columns` x `rows` tiles of `step` pixels; the first tile's corner is pixel `origin`.

    Tiles, because enlarging one value a tile to one a pixel is then a plain resize.
    """

    origin: tuple[int, int]
    step: int
    columns: int
    rows: int

    def node_positions(self) -> Array:
        """Positions in pixels, [rows, columns, 2]; shared, not to be written to."""
        return _padded_node_positions(self)[1:-1, 1:-1]

    @property
    def box(self) -> PixelBox:
        """The pixels under the tiles."""
        x, y = self.origin
        return x, y, x + self.columns * self.step, y + self.rows * self.step

    @property
    def first_node(self) -> Array:
        """Position of the first node."""
        return as_float32(self.origin) + as_float32((self.step - 1) / 2)

    def sample_field(self, field: Array, positions: Array) -> Array:
        """`field` at positions `at` (pixels, [..., ..., 2]), linear between nodes, clamped outside."""
        return remap_image(field, self.to_grid_units(positions), cv2.INTER_LINEAR)

    def to_grid_units(self, positions: Array) -> Array:
        """Positions in pixels as positions between nodes, counted from the first."""
        (x, y), each = self.first_node.tolist(), 1 / self.step
        return as_float32(cv2.transform(positions, np.array([[each, 0, -x * each], [0, each, -y * each]])))

    def field_to_positions(self, field: Array) -> Array:
        """Where each node comes from, [rows + 2, columns + 2, 2]: its position plus `field`.

        The ring of nodes around the tiles repeats the outermost ones, so that pixels beyond the last node's middle
        are displaced as that node is.
        """
        ring = cv2.copyMakeBorder(field, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        return np.add(ring, _padded_node_positions(self), out=as_float32(ring))

    def upsample_to_pixels(self, node_values: Array, box: PixelBox) -> Array:
        """What `anchor` gave, or a linear function of it, at every pixel of `box`, which lies under the tiles."""
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
    """Positions of the nodes and of a ring of nodes around them, [rows + 2, columns + 2, 2]."""
    x = grid.first_node[0] + grid.step * np.arange(-1, grid.columns + 1, dtype=np.float32)
    y = grid.first_node[1] + grid.step * np.arange(-1, grid.rows + 1, dtype=np.float32)
    anchors = as_float32(np.dstack(np.meshgrid(x, y)))
    anchors.flags.writeable = False
    return anchors


def as_float32(values: ArrayLike) -> Array:
    """`values` as float32."""
    return np.asarray(values, np.float32)


def remap_image(
    image: NDArray[Pixel], positions: Array, interpolation: int, *, transparent_outside: bool = False
) -> NDArray[Pixel]:
    """`image` at float positions `at` [h, w, 2]; outside it edges are repeated, or all is zero if `clear`."""
    border = cv2.BORDER_CONSTANT if transparent_outside else cv2.BORDER_REPLICATE
    moved = cv2.remap(image, positions, None, interpolation, borderMode=border)  # type: ignore[call-overload]
    return np.asarray(moved, image.dtype)


def thin_plate_spline(points: Array, values: Array, queries: Array, smoothing: float = 1e-3) -> Array:
    """The thin-plate spline near `values` [n, c] at `points` [n, 2], evaluated at `at` [m, 2]; shape [m, c].

    `smoothing` is added to the system's diagonal, relative to the spread of the points: landmarks are only good to
    a pixel, and a field that follows each of them exactly ripples.
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
    """One field a shape, flattened: `fields` [shapes, rows*columns*2] on `grid`."""

    grid: WarpGrid
    fields: Array

    @classmethod
    def from_shapes(
        cls, grid: WarpGrid, points: Array, shapes: Array, pinned: Array, smoothing: float
    ) -> "FieldBasis":
        """Spread `shapes` [k, n, 2] given at `points` [n, 2] over the grid; `pinned` [p, 2] stay where they are."""
        count, known = shapes.shape[:2]
        values = np.zeros((known + len(pinned), count, 2), np.float32)
        values[:known] = shapes.transpose(1, 0, 2)
        nodes = grid.node_positions().reshape(-1, 2)
        spread = thin_plate_spline(
            np.vstack([points, pinned]), values.reshape(len(values), -1), nodes, smoothing
        )
        fields = spread.reshape(len(nodes), count, 2).transpose(1, 0, 2).reshape(count, -1)
        return cls(grid=grid, fields=np.ascontiguousarray(fields))

    def combine_fields(self, weights: Array) -> Array:
        """Weighted sum of the shapes' fields."""
        return (weights @ self.fields).reshape(self.grid.rows, self.grid.columns, 2)


def invert_field(grid: WarpGrid, forward: Array, positions: Array, iterations: int = 6) -> Array:
    """How far the points that now stand at `at` [h, w, 2] have come: d with d = forward(at - d), by fixed point."""
    step = np.float32(grid.step)
    here, steps = grid.to_grid_units(positions), forward / step
    moved = remap_image(steps, here, cv2.INTER_LINEAR)
    for _ in range(iterations - 1):
        moved = remap_image(steps, here - moved, cv2.INTER_LINEAR)
    return moved * step

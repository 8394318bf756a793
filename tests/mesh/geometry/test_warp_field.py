"""Displacement fields: interpolation, inversion and upsampling."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.warp_field import FieldBasis, WarpGrid, invert_field, thin_plate_spline

GRID = WarpGrid(origin=(3, 5), step=4, columns=16, rows=12)


def random_points(seed: int, count: int = 20) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return as_float32(np.random.default_rng(seed).uniform((8, 10), (60, 48), (count, 2)))


def test_upsampling_keeps_the_nodes_and_is_linear_between_them() -> None:
    slope = as_float32(0.1 * GRID.node_positions())
    x0, y0, x1, y1 = GRID.box
    inner = (x0 + 2, y0 + 2, x1 - 2, y1 - 2)
    pixels = GRID.upsample_to_pixels(GRID.field_to_positions(slope), inner)
    expected = np.dstack(np.meshgrid(np.arange(inner[0], inner[2]), np.arange(inner[1], inner[3])))
    np.testing.assert_allclose(pixels, 1.1 * expected, atol=1e-3)


def test_a_zero_field_gives_every_pixel_its_own_position() -> None:
    x0, y0, x1, y1 = GRID.box
    pixels = GRID.upsample_to_pixels(
        GRID.field_to_positions(as_float32(np.zeros((GRID.rows, GRID.columns, 2)))), GRID.box
    )
    expected = np.dstack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)))
    np.testing.assert_allclose(pixels, expected, atol=1e-4)


@given(st.integers(3, 50), st.integers(5, 40), st.integers(1, 14), st.integers(1, 10))
def test_every_box_is_a_part_of_the_whole(x: int, y: int, width: int, height: int) -> None:
    field = as_float32(np.random.default_rng(0).normal(size=(GRID.rows, GRID.columns, 2)))
    whole = GRID.upsample_to_pixels(GRID.field_to_positions(field), GRID.box)
    box = (x, y, min(x + width, GRID.box[2]), min(y + height, GRID.box[3]))
    part = GRID.upsample_to_pixels(GRID.field_to_positions(field), box)
    np.testing.assert_allclose(part, whole[box[1] - 5 : box[3] - 5, box[0] - 3 : box[2] - 3], atol=1e-4)


@given(st.integers(0, 1000))
def test_a_spline_without_smoothing_interpolates_its_points(seed: int) -> None:
    points = random_points(seed)
    values = as_float32(np.random.default_rng(seed + 1).normal(size=(len(points), 2)))
    np.testing.assert_allclose(thin_plate_spline(points, values, points, smoothing=0), values, atol=0.02)


def test_a_spline_reproduces_a_plane() -> None:
    points = random_points(1)
    values = as_float32(points @ np.array([[0.1, 0.2], [0.3, -0.1]]))
    away = as_float32([[0, 0], [80, 70]])
    np.testing.assert_allclose(
        thin_plate_spline(points, values, away), away @ np.array([[0.1, 0.2], [0.3, -0.1]]), atol=0.05
    )


def test_pinned_points_do_not_move() -> None:
    points, pinned = random_points(2), as_float32([[4, 6], [60, 6], [4, 48], [60, 48]])
    shapes = np.full((1, len(points), 2), 3, np.float32)
    basis = FieldBasis.from_shapes(GRID, points, shapes, pinned, smoothing=0)
    moved = GRID.sample_field(basis.combine_fields(as_float32([1.0])), pinned[None])
    assert np.abs(moved).max() < 0.6


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_inversion_gives_the_backward_displacement(across: float, down: float) -> None:
    nodes = GRID.node_positions()
    wave = np.sin(nodes[..., 0] / 12) * np.sin(nodes[..., 1] / 12)
    forward = as_float32(np.dstack([2 * across * wave, 2 * down * wave]))
    back = invert_field(GRID, forward, nodes)
    origin = nodes - back
    np.testing.assert_allclose(origin + GRID.sample_field(forward, as_float32(origin)), nodes, atol=0.05)


def test_zero_weights_give_a_zero_field() -> None:
    basis = FieldBasis.from_shapes(
        GRID, random_points(3), np.ones((2, 20, 2), np.float32), as_float32([[4, 6]]), 0.0
    )
    assert not basis.combine_fields(as_float32([0.0, 0.0])).any()

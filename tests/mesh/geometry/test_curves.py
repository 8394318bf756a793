"""Coordinate frames and curves of mouth and eyes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.mesh.geometry.arrays import as_float32, smoothstep
from liveavatar.mesh.geometry.curves import (
    CoordinateFrame,
    interpolate_polyline,
    interpolate_vectors,
    sample_curves,
    smooth_curve,
)

COLUMNS = np.linspace(-10, 10, 21, dtype=np.float32)


@given(st.floats(-3, 3), st.floats(-50, 50), st.floats(-50, 50))
def test_local_positions_and_picture_vectors_are_inverse(angle: float, x: float, y: float) -> None:
    left = as_float32([20, 30])
    right = as_float32(left + 10 * np.array([np.cos(angle), np.sin(angle)]))
    frame = CoordinateFrame.from_endpoints(left, right)
    point = as_float32([x, y])
    assert frame.origin + frame.to_picture_vectors(frame.to_local(point)) == pytest.approx(point, abs=1e-3)
    assert frame.to_local(right) == pytest.approx([5, 0], abs=1e-3)


def test_a_polyline_is_constant_beyond_its_ends() -> None:
    frame = CoordinateFrame(origin=as_float32([0, 0]), axis=as_float32([1, 0]))
    points = as_float32([[4, 2], [0, 0]])
    assert interpolate_polyline(frame, points, as_float32([-1, 0, 1, 4, 9])) == pytest.approx(
        [0, 0, 0.5, 2, 2]
    )


@pytest.mark.parametrize("kernel", [(1, 2, 1), (1, 3, 6, 7, 6, 3, 1)])
def test_smoothing_keeps_ends_and_constants(kernel: tuple[int, ...]) -> None:
    noisy = as_float32(np.random.default_rng(0).normal(size=21))
    smooth = smooth_curve(noisy, kernel)
    assert smooth[[0, -1]] == pytest.approx(noisy[[0, -1]])
    assert np.abs(np.diff(smooth[1:-1])).mean() < np.abs(np.diff(noisy)).mean()
    assert smooth_curve(np.full(21, 3, np.float32), kernel) == pytest.approx(3)


def test_curves_are_sampled_linearly() -> None:
    u = as_float32([[-12, -10, 0.5], [3.25, 10, 30]])
    line = sample_curves(COLUMNS, as_float32(2 * COLUMNS), u)
    assert line == pytest.approx(2 * np.clip(u, -10, 10), abs=0.05)
    both = sample_curves(COLUMNS, np.stack([COLUMNS, -COLUMNS], -1), u)
    assert both[..., 0] == pytest.approx(-both[..., 1])


def test_vectors_are_interpolated_by_component() -> None:
    vectors = as_float32([[0, 4], [2, 0]])
    assert interpolate_vectors(as_float32([0, 1]), vectors, as_float32([0.25])) == pytest.approx(
        np.array([[0.5, 3]])
    )


def test_smoothstep_is_level_at_both_ends() -> None:
    assert smoothstep(as_float32([-1, 2, 3, 4, 9]), 2, 4) == pytest.approx([0, 0, 0.5, 1, 1])
    assert np.diff(smoothstep(np.array([2, 2.01, 3.99, 4]), 2, 4))[[0, -1]].max() < 1e-4

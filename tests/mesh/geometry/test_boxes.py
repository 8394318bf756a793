"""Boxes of pixels: views of pictures, positions, clipping."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.boxes import bound_points, clip_box, pixel_positions, slice_box, union_boxes

BOXES = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(10, 19), st.integers(10, 19))


def test_boxes_within_boxes() -> None:
    whole = pixel_positions((0, 0, 9, 9))
    part = slice_box(whole, (2, 3, 8, 9))
    assert np.array_equal(slice_box(part, (4, 5, 6, 7), (2, 3, 8, 9)), pixel_positions((4, 5, 6, 7)))


def test_a_slice_is_a_view() -> None:
    picture = np.zeros((5, 6), np.float32)
    slice_box(picture, (1, 2, 4, 5))[:] = 1
    assert picture.sum() == 9
    assert picture[2:5, 1:4].all()


def test_clipping_covers_touched_pixels_within_the_picture() -> None:
    assert clip_box((-3.2, 1.2, 7.1, 99.0), (20, 10)) == (0, 1, 8, 10)


def test_bounds_contain_the_points_and_the_margin() -> None:
    points = as_float32([[3.5, 4.0], [8.0, 6.5]])
    assert bound_points(points, 1.5, (100, 100)) == (2, 2, 10, 8)


@given(BOXES, BOXES)
def test_a_union_contains_both(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> None:
    union = union_boxes(a, b)
    assert union_boxes(union, a) == union_boxes(union, b) == union
    assert all(edge in (one, other) for edge, one, other in zip(union, a, b, strict=True))

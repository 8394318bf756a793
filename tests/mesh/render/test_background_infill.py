"""What stands behind the person: continued from beside them, with nothing that the background does not have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.render.background_infill import infill_background

UNIT = 28.0
SIZE = 140
Y, X = np.mgrid[:SIZE, :SIZE]
OUTSIDE = np.hypot(X - 70, Y - 75) > 28
STRIP = ~OUTSIDE & (np.hypot(X - 70, Y - 75) > 28 - 0.3 * UNIT)
"""What a head uncovers."""


def infill_disc(rgb: Picture) -> Picture:
    """`rgb` with a magenta disc in its middle, which is infilled."""
    hidden = np.where(OUTSIDE[..., None], rgb, (255, 0, 255)).astype(np.uint8)
    return infill_background(hidden, OUTSIDE, (70.0, 75.0), UNIT)


def draw_grain(seed: int, deviation: float) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, deviation, (SIZE, SIZE, 1))


def measure_detail(rgb: Picture, pixels: NDArray[np.bool_]) -> float:
    """Mean difference of neighbours."""
    steps = np.abs(np.diff(rgb.astype(float), axis=1)).mean(2)
    return float(steps[pixels[:, 1:]].mean())


def test_known_pixels_stay() -> None:
    rgb = np.clip(128 + draw_grain(0, 40) + np.zeros(3), 0, 255).astype(np.uint8)
    assert np.array_equal(infill_disc(rgb)[OUTSIDE], rgb[OUTSIDE])


def test_a_wall_keeps_its_gradient_and_its_grain() -> None:
    wall = 90 + 0.4 * X[..., None] + 0.3 * Y[..., None] + draw_grain(1, 3) + np.array([0, 10, 20])
    rgb = np.clip(np.rint(wall), 0, 255).astype(np.uint8)
    filled = infill_disc(rgb)
    error = filled.astype(float) - rgb
    assert np.abs(error[STRIP].mean()) < 3
    assert np.abs(error[STRIP]).mean() < 6
    assert 0.6 < measure_detail(filled, STRIP) / measure_detail(rgb, STRIP) < 1.4


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_edges_go_on_behind_the_person(slope: float) -> None:
    """The border of two walls, which the disc interrupts, is no blur of both."""
    below = slope * (X - 70) < Y - 60
    rgb = np.where(below[..., None], (60, 70, 90), (200, 190, 170)).astype(np.uint8)
    filled = infill_disc(rgb).astype(float)
    to_one = np.abs(filled - (60, 70, 90)).max(2)
    to_other = np.abs(filled - (200, 190, 170)).max(2)
    assert (np.minimum(to_one, to_other)[STRIP] < 20).mean() > 0.85
    assert ((to_one < to_other) == below)[STRIP].mean() > 0.85


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_no_colour_is_new(seed: int, spread: int) -> None:
    """No rim: infilled colours lie within the range of the known ones."""
    rgb = np.clip(120 + draw_grain(seed, spread) * np.array([1, 0.5, -1]), 0, 255).astype(np.uint8)
    filled, known = infill_disc(rgb), rgb[OUTSIDE].astype(int)
    assert (filled >= known.min(0) - 1).all()
    assert (filled <= known.max(0) + 1).all()


def test_the_same_picture_gives_the_same_background() -> None:
    rgb = np.clip(128 + draw_grain(2, 30) + np.zeros(3), 0, 255).astype(np.uint8)
    assert np.array_equal(infill_disc(rgb), infill_disc(rgb))


def test_a_picture_without_background_is_infilled_too() -> None:
    rgb = np.full((60, 60, 3), 77, np.uint8)
    known = np.zeros((60, 60), np.bool_)
    known[:2] = True
    assert np.abs(infill_background(rgb, known, (30.0, 30.0), 200.0).astype(int) - 77).max() <= 1

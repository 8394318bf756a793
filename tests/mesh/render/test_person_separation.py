"""Person and background: neither keeps an edge of the other, and together they are the picture."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.render.person_separation import separate_person

WALL, SKIN = (95, 130, 160), (70, 45, 35)


def disc_before_wall(wide: float) -> tuple[Picture, NDArray[np.uint8], NDArray[np.bool_]]:
    """A dark disc before a wall, a matte that reaches `wide` pixels beyond it, and the pixels of wall alone."""
    y, x = np.mgrid[:120, :120]
    radius = np.hypot(x - 60, y - 60)
    share = np.clip(30.5 - radius, 0, 1)[..., None]
    rgb = share * np.array(SKIN) + (1 - share) * np.array(WALL)
    matte = cv2.GaussianBlur((radius < 30.5 + wide).astype(np.float32), (0, 0), 2.0)
    return np.rint(rgb).astype(np.uint8), np.rint(255 * matte).astype(np.uint8), radius > 32


@pytest.mark.parametrize("wide", [0.0, 1.0, 3.0, 5.0])
def test_a_matte_that_is_too_wide_leaves_no_halo(wide: float) -> None:
    """Pixels of wall alone are neither brighter nor darker in the background."""
    rgb, matte, alone = disc_before_wall(wide)
    _, background, _ = separate_person(rgb, matte)
    assert np.abs(background.astype(int) - WALL)[alone].max() <= 2


@given(st.integers(0, 2**32 - 1), st.floats(-2, 5))
def test_composited_layers_are_the_picture(seed: int, wide: float) -> None:
    rgb, matte, _ = disc_before_wall(wide)
    noisy = np.clip(rgb + np.random.default_rng(seed).integers(-40, 41, rgb.shape), 0, 255).astype(np.uint8)
    figure, background, share = separate_person(noisy, matte)
    part = share[..., None] / 255
    assert np.abs(part * figure + (1 - part) * background - noisy).max() <= 1.01

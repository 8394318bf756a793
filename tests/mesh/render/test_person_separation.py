"""Person and background: neither keeps an edge of the other, and together they are the picture."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.face_landmarks import OUTER_EYE_CORNERS
from liveavatar.mesh.render.person_separation import separate_person

WALL, SKIN = (95, 130, 160), (70, 45, 35)
UNIT = 40.0


def place_eyes(x: float = 60, y: float = 60) -> Landmarks:
    """A face whose eyes are UNIT apart, around a point; it is nothing but eyes."""
    landmarks = np.full((478, 3), (x, y, 0), np.float32)
    landmarks[list(OUTER_EYE_CORNERS), 0] += (-UNIT / 2, UNIT / 2)
    return landmarks


def disc_before_wall(wide: float) -> tuple[Picture, NDArray[np.uint8], NDArray[np.bool_]]:
    """A dark disc before a wall, a matte that reaches `wide` pixels beyond it, and the pixels of wall alone."""
    y, x = np.mgrid[:120, :120]
    radius = np.hypot(x - 60, y - 60)
    share = np.clip(30.5 - radius, 0, 1)[..., None]
    rgb = share * np.array(SKIN) + (1 - share) * np.array(WALL)
    matte = cv2.GaussianBlur((radius < 30.5 + wide).astype(np.float32), (0, 0), 2.0)
    return np.rint(rgb).astype(np.uint8), np.rint(255 * matte).astype(np.uint8), radius > 32


@pytest.mark.parametrize("wide", [-2.0, 0.0, 1.0, 3.0, 5.0])
def test_a_matte_that_does_not_fit_leaves_no_halo(wide: float) -> None:
    """Nothing of the disc, nor any other rim, is in the background, in front of the disc or behind it."""
    rgb, matte, _ = disc_before_wall(wide)
    _, background, _ = separate_person(rgb, matte, place_eyes())
    assert np.abs(background.astype(int) - WALL).max() <= 3


@pytest.mark.parametrize("wide", [-2.0, 0.0, 2.0])
def test_the_wall_is_no_part_of_the_person(wide: float) -> None:
    """A matte that does not fit is mended by the colours on both sides of the edge."""
    rgb, matte, alone = disc_before_wall(wide)
    _, _, opacity = separate_person(rgb, matte, place_eyes())
    y, x = np.mgrid[:120, :120]
    assert opacity[np.hypot(x - 60, y - 60) < 29.5].min() == 255
    assert opacity[alone].max() < 40


def test_a_stray_hair_goes_with_the_head() -> None:
    rgb, matte, _ = disc_before_wall(0)
    cv2.line(rgb, (60, 28), (60, 32), (200, 160, 90), 1)
    _, background, opacity = separate_person(rgb, matte, place_eyes())
    assert np.abs(background.astype(int) - WALL)[27:30].max() <= 3
    assert opacity[28, 60] > 60


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.floats(-2, 5))
def test_composited_layers_are_the_picture(seed: int, wide: float) -> None:
    rgb, matte, _ = disc_before_wall(wide)
    noisy = np.clip(rgb + np.random.default_rng(seed).integers(-40, 41, rgb.shape), 0, 255).astype(np.uint8)
    figure, background, share = separate_person(noisy, matte, place_eyes())
    part = share[..., None] / 255
    assert np.abs(part * figure + (1 - part) * background - noisy).max() <= 1.01


@pytest.mark.parametrize("level", [0, 255])
def test_a_matte_without_an_edge_is_taken_as_it_is(level: int) -> None:
    rgb, matte, _ = disc_before_wall(0)
    person, background, opacity = separate_person(rgb, np.full_like(matte, level), place_eyes())
    assert (opacity == level).all()
    assert np.array_equal(person if level else background, rgb)


def test_a_narrow_gap_stays_open() -> None:
    """Wall between hair and neck is too narrow for samples of it: the matte decides."""
    rgb, matte, _ = disc_before_wall(0)
    rgb[50:70, 58:63], matte[50:70, 58:63] = WALL, 0
    _, _, opacity = separate_person(rgb, matte, place_eyes())
    assert opacity[53:67, 59:62].max() == 0

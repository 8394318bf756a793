"""The seam between shut lips: landmarks to a few pixels, then refined in the picture."""

import numpy as np
import pytest

from liveavatar.mesh.geometry.arrays import Array
from liveavatar.mesh.geometry.face_landmarks import INNER_LOWER_LIP, INNER_UPPER_LIP, LOWER_LIP
from liveavatar.mesh.geometry.lip_seam import LipSeam

UNIT, MIDDLE = 160.0, 100.0
LIP, DARK = (170, 80, 80), (60, 30, 28)


def landmarks(gap: float) -> Array:
    """A mouth 80 pixels wide, its inner edges `gap` apart in the middle."""
    points = np.zeros((478, 3), np.float32)
    x = np.linspace(60, 140, 11)
    arc = 1 - ((x - 100) / 40) ** 2
    for row, side in ((INNER_UPPER_LIP, -1), (INNER_LOWER_LIP, 1)):
        points[list(row), :2] = np.stack([x, MIDDLE + side * gap / 2 * arc], -1)
    return points


def test_closed_lips_meet_at_the_dark_line() -> None:
    rgb = np.full((200, 200, 3), LIP, np.uint8)
    rgb[102:104] = DARK
    lips = LipSeam.from_picture(landmarks(2), UNIT, rgb)
    assert lips.heights[12:29] == pytest.approx(2.5, abs=1)


def test_without_a_dark_line_the_landmarks_are_used() -> None:
    noise = np.random.default_rng(0).integers(-2, 3, (200, 200, 1))
    rgb = np.asarray(np.full((200, 200, 3), LIP) + noise, np.uint8)
    lips = LipSeam.from_picture(landmarks(2), UNIT, rgb)
    assert np.abs(lips.heights).max() < 1


@pytest.mark.parametrize("gap", [0.0, 3.0])
def test_snapped_lips_meet_exactly_and_keep_their_height(gap: float) -> None:
    points = landmarks(gap)
    points[list(LOWER_LIP[:9]), :2] = points[list(INNER_LOWER_LIP[1:-1]), :2] + [0, 12]
    snapped = LipSeam.from_picture(points, UNIT, np.full((200, 200, 3), LIP, np.uint8)).snap_landmarks(points)
    assert snapped[list(INNER_UPPER_LIP)] == pytest.approx(snapped[list(INNER_LOWER_LIP)], abs=1e-3)
    height = snapped[list(LOWER_LIP[:9]), 1] - snapped[list(INNER_LOWER_LIP[1:-1]), 1]
    assert height == pytest.approx(12, abs=0.2)


@pytest.mark.parametrize("blur", [0.7, 2.0])
def test_edges_are_as_soft_as_the_picture(blur: float) -> None:
    along = np.stack([np.linspace(60, 140, 11), np.full(11, MIDDLE)], -1).astype(np.float32)
    softness = LipSeam.from_points(along, UNIT, blur).softness
    assert (softness > 4) == (blur > 1)

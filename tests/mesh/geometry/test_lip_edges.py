"""Edges of the lips: landmarks to a few pixels, then refined in the picture."""

import numpy as np
import pytest

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.face_landmarks import INNER_LOWER_LIP, INNER_UPPER_LIP
from liveavatar.mesh.geometry.lip_edges import LipEdges

UNIT, MIDDLE = 160.0, 100.0
LIP, TOOTH, DARK = (170, 80, 80), (215, 205, 190), (60, 30, 28)


def landmarks(gap: float) -> Array:
    """A mouth 80 pixels wide, its inner edges `gap` apart in the middle."""
    points = np.zeros((478, 3), np.float32)
    x = np.linspace(60, 140, 11)
    arc = 1 - ((x - 100) / 40) ** 2
    for row, side in ((INNER_UPPER_LIP, -1), (INNER_LOWER_LIP, 1)):
        points[list(row), :2] = np.stack([x, MIDDLE + side * gap / 2 * arc], -1)
    return points


def open_mouth(gap: float) -> Picture:
    """Lips around teeth above and the dark below."""
    y, x = np.mgrid[:200, :200]
    arc = np.clip(1 - ((x - 100) / 40) ** 2, 0, None)
    inside = np.abs(y - MIDDLE) < gap / 2 * arc
    rgb = np.full((200, 200, 3), LIP, np.uint8)
    rgb[inside & (y < MIDDLE)] = TOOTH
    rgb[inside & (y >= MIDDLE)] = DARK
    return rgb


@pytest.mark.parametrize("error", [-4, 0, 4])
def test_edges_of_open_lips_lie_where_red_begins(error: float) -> None:
    lips = LipEdges.from_portrait(landmarks(20 + error), UNIT, open_mouth(20))
    middle = slice(14, 27)
    arc = 1 - (lips.columns[middle] / lips.half_width) ** 2
    assert lips.lower[middle] == pytest.approx(10 * arc, abs=1.6)
    assert lips.upper[middle] == pytest.approx(-10 * arc, abs=1.6)


def test_no_tooth_belongs_to_a_lip() -> None:
    lips = LipEdges.from_portrait(landmarks(16), UNIT, open_mouth(20))
    for edge in (lips.upper[20] - 1, lips.lower[20] + 1):
        assert open_mouth(20)[round(MIDDLE + float(edge)), 100] == pytest.approx(LIP, abs=1)


def test_closed_lips_meet_at_the_dark_line() -> None:
    rgb = np.full((200, 200, 3), LIP, np.uint8)
    rgb[102:104] = DARK
    lips = LipEdges.from_portrait(landmarks(2), UNIT, rgb)
    assert lips.upper[12:29] == pytest.approx(2.5, abs=1)
    assert lips.gap == 0


def test_without_a_dark_line_the_landmarks_are_used() -> None:
    noise = np.random.default_rng(0).integers(-2, 3, (200, 200, 1))
    rgb = np.asarray(np.full((200, 200, 3), LIP) + noise, np.uint8)
    lips = LipEdges.from_portrait(landmarks(2), UNIT, rgb)
    assert np.abs(lips.upper).max() < 1
    assert lips.upper == pytest.approx(as_float32(lips.lower))

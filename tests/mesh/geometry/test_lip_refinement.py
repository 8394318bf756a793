"""Open mouths: landmarks are moved to the edges seen in the picture."""

import numpy as np
import pytest

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.face_landmarks import (
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    LOWER_LIP,
    OUTER_EYE_CORNERS,
    UPPER_LIP,
)
from liveavatar.mesh.geometry.lip_edges import LipEdges
from liveavatar.mesh.geometry.lip_refinement import snap_lip_landmarks, widen_open_mouth

UNIT = 120.0
SKIN, LIP, DARK, TONGUE, TOOTH = (215, 175, 60), (205, 110, 95), (25, 15, 15), (120, 35, 45), (235, 220, 190)


def landmarks(half: float, gap: float) -> Array:
    """A mouth in the middle of 240x240 pixels, `half` its width, its inner edges `gap` apart."""
    points = np.zeros((478, 3), np.float32)
    points[list(OUTER_EYE_CORNERS), :2] = np.array([[60, 40], [60 + UNIT, 40]])
    x = np.linspace(-1, 1, 11)
    for row, side in ((INNER_UPPER_LIP, -1), (INNER_LOWER_LIP, 1)):
        points[list(row), :2] = np.stack([120 + half * x, 120 + side * gap / 2 * (1 - x**2)], -1)
    for lip, side in ((UPPER_LIP, -1), (LOWER_LIP, 1)):
        along = np.linspace(-0.9, 0.9, 9)
        for line in range(4):
            edge = 120 + side * (gap / 2 + 9 - 3 * line) * (1 - along**2)
            points[list(lip[9 * line : 9 * line + 9]), :2] = np.stack([120 + half * along, edge], -1)
    return points


def draw_laughing_mouth(half: float, gap: float) -> Picture:
    """An open mouth with upper teeth, a tongue, and lower teeth that touch the lower lip."""
    y, x = np.mgrid[:240, :240]
    arc = np.clip(1 - ((x - 120) / half) ** 2, 0, None)
    height = np.where(arc > 0, (y - 120) / np.maximum(gap / 2 * arc, 1e-3), np.inf)
    rgb = np.full((240, 240, 3), SKIN, np.uint8)
    rgb[(np.abs(y - 120) < gap / 2 * arc + 9) & (arc > 0)] = LIP
    rgb[np.abs(height) < 1] = DARK
    rgb[(np.abs(height) < 1) & (height < -0.5)] = TOOTH
    rgb[(height > 0.3) & (height < 1) & (np.abs(x - 120) < 0.5 * half)] = TONGUE
    rgb[(height > 0.75) & (height < 1) & (np.abs(x - 120) < 0.4 * half)] = TOOTH
    noise = np.random.default_rng(0).integers(-3, 4, rgb.shape)
    return np.asarray(np.clip(rgb + noise, 0, 255), np.uint8)


def measure_widened_lips(points: Array, rgb: Picture) -> LipEdges:
    return LipEdges.from_portrait(widen_open_mouth(points, rgb), UNIT, rgb)


@pytest.mark.parametrize(("half", "gap"), [(40.0, 36.0), (46.0, 44.0), (50.0, 50.0)])
def test_an_opening_wider_than_the_landmarks_is_found(half: float, gap: float) -> None:
    lips = measure_widened_lips(landmarks(42, 40), draw_laughing_mouth(half, gap))
    assert lips.gap == pytest.approx(gap, abs=4)
    assert lips.half_width == pytest.approx(half, abs=7)


def test_tongue_and_lower_teeth_are_not_taken_for_the_lip() -> None:
    lips = measure_widened_lips(landmarks(44, 40), draw_laughing_mouth(46, 44))
    arc = 1 - (lips.columns / 46) ** 2
    middle = slice(10, 31)
    assert lips.lower[middle] == pytest.approx(22 * arc[middle], abs=3)


def test_landmarks_that_agree_with_the_picture_are_unchanged() -> None:
    points = landmarks(46, 44)
    assert widen_open_mouth(points, draw_laughing_mouth(46, 44)) is points


def test_landmarks_of_a_slightly_open_mouth_are_unchanged() -> None:
    points = landmarks(46, 10)
    assert widen_open_mouth(points, draw_laughing_mouth(46, 44)) is points


def test_the_same_picture_gives_the_same_lips() -> None:
    points, rgb = landmarks(42, 40), draw_laughing_mouth(48, 46)
    assert np.array_equal(widen_open_mouth(points, rgb), widen_open_mouth(points, rgb))


@pytest.mark.parametrize("gap", [0.0, 3.0])
def test_snapped_closed_lips_meet_exactly(gap: float) -> None:
    points = landmarks(46, gap)
    rgb = np.full((240, 240, 3), LIP, np.uint8)
    snapped = snap_lip_landmarks(points, LipEdges.from_portrait(points, UNIT, rgb))
    assert snapped[list(INNER_UPPER_LIP)] == pytest.approx(snapped[list(INNER_LOWER_LIP)], abs=1e-3)


def test_snapped_lips_lie_on_the_measured_edges_and_keep_their_height() -> None:
    points, rgb = landmarks(44, 40), draw_laughing_mouth(46, 44)
    lips = LipEdges.from_portrait(points, UNIT, rgb)
    snapped = snap_lip_landmarks(points, lips)
    local = lips.frame.to_local(snapped[list(INNER_LOWER_LIP), :2])
    assert local[:, 1] == pytest.approx(np.interp(local[:, 0], lips.columns, lips.lower), abs=0.1)
    rim, line = snapped[17, 1] - snapped[14, 1], points[17, 1] - points[14, 1]
    assert float(rim) == pytest.approx(float(line), abs=0.5)
    assert np.abs(snapped - points)[list(OUTER_EYE_CORNERS)].max() == 0
    assert as_float32(snapped).dtype == np.float32

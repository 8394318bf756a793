"""Parted lips are shut once: no tooth stays outside, lips keep their red, upper teeth are kept for the frames."""

from dataclasses import replace

import numpy as np
import pytest

from drawn_mouth import LOWER_LIP, SIDE, TOOTH, UNIT, UPPER_LIP, build_portrait, find_colour
from liveavatar.face.portrait import Portrait
from liveavatar.mesh.expression import RESTING_ARTICULATION, build_face_shapes
from liveavatar.mesh.geometry.face_landmarks import (
    CHIN_LANDMARK,
    FACE_OVAL,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    OUTER_EYE_CORNERS,
)
from liveavatar.mesh.geometry.lip_seam import measure_lip_gap
from liveavatar.mesh.lips.inner_edges import refine_inner_edges
from liveavatar.mesh.lips.lip_contours import POINTS, LipContours, MouthPatch
from liveavatar.mesh.lips.shut_base import ShutBase, build_shut_base

OPENINGS = (0.1, 0.25, 0.5, 0.8)


@pytest.fixture(scope="module", params=OPENINGS)
def opened(request: pytest.FixtureRequest) -> tuple[Portrait, ShutBase]:
    portrait = build_portrait(request.param)
    return portrait, build_shut_base(portrait)


def test_a_shut_mouth_stays_as_it_is() -> None:
    portrait = build_portrait(0.0)
    base = build_shut_base(portrait)
    assert base.portrait.rgb is portrait.rgb
    assert base.teeth is None
    assert np.abs(base.reveal).max() == 0


def test_nothing_of_the_inside_is_left(opened: tuple[Portrait, ShutBase]) -> None:
    portrait, base = opened
    assert find_colour(portrait.rgb, TOOTH).sum() > 30
    assert find_colour(base.portrait.rgb, TOOTH).sum() == 0


def test_both_lips_keep_their_red(opened: tuple[Portrait, ShutBase]) -> None:
    portrait, base = opened
    for colour in (UPPER_LIP, LOWER_LIP):
        before, after = (find_colour(picture.rgb, colour).sum() for picture in (portrait, base.portrait))
        assert 0.7 < after / before < 1.5


def test_the_landmarks_of_both_lips_meet(opened: tuple[Portrait, ShutBase]) -> None:
    _, base = opened
    points = base.portrait.landmarks
    assert measure_lip_gap(points) < 0.01 * UNIT
    local = base.lips.frame.to_local(points[[*INNER_UPPER_LIP, *INNER_LOWER_LIP], :2])
    assert base.lips.depth_below(local) == pytest.approx(0, abs=1.5)


def test_the_chin_rises_and_the_rest_of_the_face_stays(opened: tuple[Portrait, ShutBase]) -> None:
    portrait, base = opened
    moved = base.portrait.landmarks[:, :2] - portrait.landmarks[:, :2]
    assert moved[CHIN_LANDMARK, 1] <= 0.1
    assert np.abs(moved[[*OUTER_EYE_CORNERS, *FACE_OVAL[:5]]]).max() == 0
    far = np.ones((SIDE, SIDE), bool)
    far[SIDE // 3 :, SIDE // 8 : -SIDE // 8] = False
    assert np.array_equal(base.portrait.rgb[far], portrait.rgb[far])


def test_a_mouth_drawn_on_both_sides_alike_shuts_alike() -> None:
    base = build_shut_base(build_portrait(0.4))
    heights = base.lips.heights
    assert heights == pytest.approx(heights[::-1], abs=0.02 * UNIT)


def test_the_portraits_upper_teeth_are_kept_and_lower_ones_are_not() -> None:
    shown = build_shut_base(build_portrait(0.5, lower_teeth=True)).teeth
    assert shown is not None
    assert shown.mean_colour == pytest.approx(TOOTH, abs=14)
    assert build_shut_base(build_portrait(0.5, teeth=False, lower_teeth=True)).teeth is None
    assert build_shut_base(build_portrait(0.5, teeth=False)).teeth is None


@pytest.mark.parametrize("error", [-0.06, 0.0, 0.06])
def test_inner_edges_are_found_where_landmarks_are_wrong(error: float) -> None:
    true, wrong = build_portrait(0.5, lower_teeth=True), build_portrait(0.5, error=error, lower_teeth=True)
    patch = MouthPatch.from_picture(wrong.rgb, wrong.landmarks)
    drawn = LipContours.from_landmarks(patch.to_patch(true.landmarks[:, :2]))
    guess = LipContours.from_landmarks(patch.to_patch(wrong.landmarks[:, :2]))
    found, _ = refine_inner_edges(guess, patch)
    middle = slice(POINTS // 4, -POINTS // 4)
    for name in ("inner_upper", "inner_lower"):
        away = getattr(found, name)[middle, 1] - getattr(drawn, name)[middle, 1]
        assert np.abs(away).max() < 10
        assert np.abs(away).mean() < 7


def test_the_same_picture_gives_the_same_base() -> None:
    one, other = (build_shut_base(build_portrait(0.3)) for _ in range(2))
    assert np.array_equal(one.portrait.rgb, other.portrait.rgb)
    assert np.array_equal(one.portrait.landmarks, other.portrait.landmarks)


def test_vowels_show_the_upper_lip_as_high_as_in_the_picture(opened: tuple[Portrait, ShutBase]) -> None:
    _, base = opened
    shapes = build_face_shapes(base.portrait.landmarks, base.reveal)
    assert np.array_equal(shapes[-1], base.reveal)
    assert base.reveal[13, 1] < 0
    assert base.reveal[14, 1] == 0


def test_only_vowels_reveal_the_upper_teeth() -> None:
    vowel = replace(RESTING_ARTICULATION, jaw=0.8)
    for shut in (
        RESTING_ARTICULATION,
        replace(vowel, closure=1.0),
        replace(vowel, bite=1.0),
        replace(vowel, rounding=1.0),
        vowel.scale_except_closure(0),
    ):
        assert shut.shape_weights()["reveal"] == 0
    opened = [replace(RESTING_ARTICULATION, jaw=jaw).shape_weights()["reveal"] for jaw in (0, 0.1, 0.3, 0.8)]
    assert opened == sorted(opened)
    assert 0.5 < opened[-1] < 1

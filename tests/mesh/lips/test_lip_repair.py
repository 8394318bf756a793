"""Lips that did not shut well: what is no lip on them, and what is lip beside them, is painted over."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from drawn_mouth import LOWER_LIP, SIDE, SKIN, TOOTH, build_portrait, find_colour
from liveavatar.face.portrait import Portrait
from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.lips.lip_contours import LipContours
from liveavatar.mesh.lips.lip_repair import even_outlines
from liveavatar.mesh.lips.shut_base import build_shut_base

JAW = 0.4


@pytest.fixture(scope="module")
def opened() -> Portrait:
    return build_portrait(JAW)


def paint(portrait: Portrait, below: float, colour: tuple[int, int, int]) -> Portrait:
    """A disc in the middle, so many pixels below the lower edge of the lower lip."""
    x, y = portrait.landmarks[17, :2]
    disc = cv2.circle(portrait.rgb.copy(), (round(float(x)), round(float(y + below))), 9, colour, -1)
    return replace(portrait, rgb=np.asarray(disc, np.uint8))


def test_lip_colour_on_the_chin_becomes_skin(opened: Portrait) -> None:
    smeared = paint(opened, 6, LOWER_LIP)
    plain, repaired = (build_shut_base(smeared, repair=repair).portrait for repair in (False, True))
    chin = np.zeros((SIDE, SIDE), bool)
    chin[round(float(repaired.landmarks[17, 1])) + 4 :] = True
    before, after = (int((find_colour(one.rgb, LOWER_LIP) & chin).sum()) for one in (plain, repaired))
    assert before > 60
    assert after < 0.2 * before


def test_teeth_on_the_lower_lip_become_lip(opened: Portrait) -> None:
    dotted = paint(opened, -8, TOOTH)
    plain, repaired = (build_shut_base(dotted, repair=repair).portrait for repair in (False, True))
    before, after = (int(find_colour(one.rgb, TOOTH).sum()) for one in (plain, repaired))
    assert before > 40
    assert after < 0.2 * before


def test_good_lips_and_the_skin_keep_their_colours(opened: Portrait) -> None:
    plain, repaired = (build_shut_base(opened, repair=repair).portrait for repair in (False, True))
    for colour in (LOWER_LIP, SKIN):
        areas = [int(find_colour(one.rgb, colour).sum()) for one in (plain, repaired)]
        assert areas[1] == pytest.approx(areas[0], rel=0.15)


def test_outlines_become_alike_on_both_sides() -> None:
    along = np.linspace(-1, 1, 61)
    seam = as_float32(np.stack([100 * along, 0 * along], 1))
    bump = 30 * (1 - along**2) + 12 * np.exp(-np.square((along - 0.6) / 0.1))
    crooked = as_float32(np.stack([100 * along, bump], 1))
    even = even_outlines(
        LipContours(outer_upper=-crooked, inner_upper=seam, inner_lower=seam, outer_lower=crooked)
    )
    heights = even.outer_lower[:, 1]
    assert heights == pytest.approx(heights[::-1], abs=0.01)
    assert np.abs(np.diff(heights, 2)).max() < np.abs(np.diff(bump, 2)).max()
    assert even.outer_lower[[0, -1]] == pytest.approx(seam[[0, -1]], abs=0.01)

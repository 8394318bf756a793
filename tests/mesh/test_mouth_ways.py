"""A mouth whose drawing is bad is drawn in plainer ways, one after the other, and says so."""

from collections.abc import Sequence

import numpy as np
import pytest

from drawn_mouth import build_portrait
from liveavatar.face.portrait import Portrait
from liveavatar.mesh.mouth_ways import MOUTH_WAYS, CheckMouth, PreparedMouth, prepare_mouth
from liveavatar.mesh.render.face_renderer import FaceRenderer
from liveavatar.report import Finding, FindingLevel


@pytest.fixture(scope="module")
def opened() -> Portrait:
    return build_portrait(0.4)


def judge_in_turn(levels: Sequence[Sequence[FindingLevel]], seen: list[FaceRenderer]) -> CheckMouth:
    """A check that finds `levels` in turn, and keeps the renderers it was shown."""

    def check(portrait: Portrait, renderer: FaceRenderer) -> tuple[Finding, ...]:
        seen.append(renderer)
        return tuple(Finding(name="x", level=level, sentence="x") for level in levels[len(seen) - 1])

    return check


def prepare(portrait: Portrait, *levels: Sequence[FindingLevel]) -> tuple[PreparedMouth, list[FaceRenderer]]:
    seen: list[FaceRenderer] = []
    return prepare_mouth(portrait, judge_in_turn(levels, seen)), seen


def test_a_good_mouth_is_drawn_in_the_fullest_way(opened: Portrait) -> None:
    mouth, seen = prepare(opened, ["warn"])
    assert mouth.renderer is seen[0]
    assert [finding.name for finding in mouth.findings] == ["x"]


def test_the_first_way_that_is_not_bad_is_taken_and_said(opened: Portrait) -> None:
    mouth, seen = prepare(opened, ["bad"], ["bad", "bad"], ["warn"])
    assert len(seen) == 3
    assert mouth.renderer is seen[-1]
    assert mouth.renderer.interior.portrait_teeth is None
    assert [(f.level, f.sentence) for f in mouth.findings] == [
        ("warn", MOUTH_WAYS[2].sentence),
        ("warn", "x"),
    ]


def test_if_all_are_bad_the_least_bad_one_is_left_to_be_refused(opened: Portrait) -> None:
    mouth, seen = prepare(opened, *(["bad"] * count for count in (3, 1, 2, 1, 2)))
    assert len(seen) == len(MOUTH_WAYS)
    assert mouth.renderer is seen[1]
    assert mouth.findings[-1].level == "bad"
    widest = [np.abs(renderer.lower_basis.fields).max() for renderer in seen]
    assert widest[-1] == pytest.approx(widest[-2] / 2, rel=0.05)


def test_without_teeth_in_the_picture_there_are_none_to_drop() -> None:
    _, seen = prepare(build_portrait(0.4, teeth=False), *(["bad"] for _ in MOUTH_WAYS))
    assert len(seen) == 3


def test_shut_lips_have_one_way() -> None:
    mouth, seen = prepare(build_portrait(0.0), ["bad"])
    assert len(seen) == 1
    assert mouth.findings[0].level == "bad"

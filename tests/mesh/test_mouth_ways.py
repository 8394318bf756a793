"""A mouth whose drawing is bad is drawn in plainer ways, one after the other, and says so."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from drawn_mouth import build_portrait
from liveavatar.face.portrait import Portrait
from liveavatar.mesh import mouth_ways
from liveavatar.mesh.geometry.arrays import Array
from liveavatar.mesh.lips.shut_base import ShutBase
from liveavatar.mesh.mouth_ways import MOUTH_WAYS, PreparedMouth, prepare_mouth
from liveavatar.report import Finding, FindingLevel


@pytest.fixture(scope="module")
def opened() -> Portrait:
    return build_portrait(0.4)


@pytest.fixture(autouse=True)
def nothing_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renderers are what they would be made of: preparing takes most of a second each."""

    def keep(base: ShutBase, shapes: Array) -> SimpleNamespace:
        return SimpleNamespace(base=base, shapes=shapes)

    monkeypatch.setattr(mouth_ways, "prepare_renderer", keep)


def prepare(portrait: Portrait, *levels: Sequence[FindingLevel]) -> tuple[PreparedMouth, list[Any]]:
    """The mouth if the check finds `levels` in turn, and the renderers it was shown."""
    seen: list[Any] = []

    def check(portrait: Portrait, renderer: object) -> tuple[Finding, ...]:
        seen.append(renderer)
        return tuple(Finding(name="x", level=level, sentence="x") for level in levels[len(seen) - 1])

    return prepare_mouth(portrait, check), seen


def find_bad(*counts: int) -> list[list[FindingLevel]]:
    """So many bad findings a way."""
    return [["bad"] * count for count in counts]


def test_a_good_mouth_is_drawn_in_the_fullest_way(opened: Portrait) -> None:
    mouth, seen = prepare(opened, ["warn"])
    assert id(mouth.renderer) == id(seen[0])
    assert seen[0].base.teeth is not None
    assert [finding.name for finding in mouth.findings] == ["x"]


def test_the_first_way_that_is_not_bad_is_taken_and_said(opened: Portrait) -> None:
    mouth, seen = prepare(opened, ["bad"], ["bad", "bad"], ["warn"])
    assert len(seen) == 3
    assert id(mouth.renderer) == id(seen[-1])
    assert seen[-1].base.teeth is None
    assert np.abs(seen[-1].base.reveal).max() == 0
    said = [(finding.level, finding.sentence) for finding in mouth.findings]
    assert said == [("warn", MOUTH_WAYS[2].sentence), ("warn", "x")]


def test_if_all_are_bad_the_least_bad_one_is_left_to_be_refused(opened: Portrait) -> None:
    mouth, seen = prepare(opened, *find_bad(3, 1, 2, 1, 2))
    assert len(seen) == len(MOUTH_WAYS)
    assert id(mouth.renderer) == id(seen[1])
    assert mouth.findings[-1].level == "bad"
    assert seen[-1].shapes == pytest.approx(seen[-2].shapes / 2)


def test_repaired_lips_are_another_picture(opened: Portrait) -> None:
    _, seen = prepare(opened, *find_bad(1, 1, 1, 1, 1))
    plain, repaired = (seen[number].base.portrait.rgb for number in (0, 1))
    assert not np.array_equal(plain, repaired)
    assert seen[3].base.portrait.rgb is repaired


def test_without_teeth_in_the_picture_there_are_none_to_drop() -> None:
    _, seen = prepare(build_portrait(0.4, teeth=False), *find_bad(1, 1, 1, 1, 1))
    assert len(seen) == 3


def test_shut_lips_have_one_way() -> None:
    mouth, seen = prepare(build_portrait(0.0), ["bad"])
    assert len(seen) == 1
    assert mouth.findings[0].level == "bad"

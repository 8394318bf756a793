"""A portrait is checked before and after an engine prepares it."""

from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from liveavatar.engine import Session, open_actor
from liveavatar.errors import PortraitError
from liveavatar.face.portrait import Portrait
from liveavatar.report import Finding

CROOKED = Finding(name="symmetry", level="bad", sentence="the drawn mouth is crooked", remedy="use another")


@dataclass(frozen=True, slots=True)
class LookingEngine:
    """Finds `findings` in what it draws."""

    findings: tuple[Finding, ...] = ()
    size: tuple[int, int] = (2, 2)

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "LookingEngine":
        return self

    def session(self, fps: Fraction, seed: int) -> Session:
        raise NotImplementedError


@pytest.fixture(scope="module")
def clear(photograph: object) -> Portrait:
    from liveavatar.face.portrait import load_portrait

    return load_portrait(photograph)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def blurred(clear: Portrait) -> Portrait:
    return replace(clear, rgb=np.asarray(cv2.GaussianBlur(clear.rgb, (0, 0), 5), np.uint8))


def test_a_good_portrait_is_opened(clear: Portrait) -> None:
    heard: list[Finding] = []
    engine = LookingEngine()
    assert open_actor(engine, clear, None, on_finding=heard.append) is engine
    assert {finding.level for finding in heard} == {"ok"}


def test_a_bad_portrait_is_refused_unless_forced(blurred: Portrait) -> None:
    with pytest.raises(PortraitError, match=r"blurred.*--force"):
        open_actor(LookingEngine(), blurred, None)
    engine = LookingEngine()
    assert open_actor(engine, blurred, None, force=True) is engine


def test_a_bad_drawing_is_refused_unless_forced(clear: Portrait) -> None:
    heard: list[Finding] = []
    engine = LookingEngine((CROOKED,))
    with pytest.raises(PortraitError, match=r"crooked.*--force"):
        open_actor(engine, clear, None, on_finding=heard.append)
    assert CROOKED in heard
    assert open_actor(engine, clear, None, force=True) is engine

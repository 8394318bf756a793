"""What a mouth shows, on a photograph whose mouth is opened by known amounts."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from face.open_mouths import open_mouth
from liveavatar.face.inspection.mouth_profile import (
    LevelMouth,
    MouthProfile,
    find_teeth_on_lips,
    measure_mouth_profile,
    median_skin,
)
from liveavatar.face.landmarks import Landmarks
from liveavatar.face.portrait import Portrait


def profile(portrait: Portrait) -> MouthProfile:
    return measure_mouth_profile(portrait.rgb, portrait.landmarks)


def test_a_shut_mouth(portrait: Portrait) -> None:
    found = profile(portrait)
    assert found.state == "shut"
    assert found.excess == 0


@pytest.mark.parametrize("gap", [0.08, 0.15, 0.4])
def test_parted_lips(portrait: Portrait, gap: float) -> None:
    found = profile(open_mouth(portrait, gap))
    assert found.state == "parted"
    assert found.teeth < 0.01
    assert found.dark == pytest.approx(gap, rel=0.5)


@pytest.mark.parametrize(("gap", "teeth"), [(0.08, 1.0), (0.2, 0.5), (0.5, 0.25)])
def test_teeth_are_seen(portrait: Portrait, gap: float, teeth: float) -> None:
    found = profile(open_mouth(portrait, gap, teeth=teeth))
    assert found.state == "teeth"
    assert found.teeth == pytest.approx(gap * teeth, rel=0.6)


def test_landmarks_that_see_no_gap_are_not_trusted(portrait: Portrait) -> None:
    """The network may call parted lips shut: what is dark between them tells."""
    parted = open_mouth(portrait, 0.08)
    assert profile(replace(parted, landmarks=portrait.landmarks)).state == "parted"


@pytest.mark.parametrize("gain", [0.25, 0.5, 1.0])
def test_the_light_does_not_matter(portrait: Portrait, gain: float) -> None:
    smile = open_mouth(portrait, 0.15, teeth=0.7)
    for picture, state in ((portrait, "shut"), (smile, "teeth")):
        dimmed = replace(picture, rgb=np.asarray(picture.rgb * gain, np.uint8))
        assert profile(dimmed).state == state


@pytest.mark.parametrize("degrees", [-30, 30])
def test_a_leaning_head(portrait: Portrait, degrees: float) -> None:
    smile = open_mouth(portrait, 0.15, teeth=0.7)
    height, width = smile.rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    points = smile.landmarks.copy()
    points[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    leaning = np.asarray(cv2.warpAffine(smile.rgb, matrix, (width, height)), np.uint8)
    assert profile(replace(smile, rgb=leaning, landmarks=points)).state == "teeth"


def test_teeth_on_a_lip_are_counted(portrait: Portrait) -> None:
    def count(rgb: np.ndarray, landmarks: Landmarks) -> float:
        teeth, lips = find_teeth_on_lips(LevelMouth.from_picture(rgb, landmarks), median_skin(rgb, landmarks))
        return float(teeth.sum() / lips.sum())

    lip, rgb = portrait.landmarks[[14, 17], :2].mean(0), portrait.rgb.copy()
    cv2.circle(rgb, np.rint(lip).astype(int).tolist(), 3, (228, 224, 214), -1)
    assert count(rgb, portrait.landmarks) > count(portrait.rgb, portrait.landmarks) + 0.02

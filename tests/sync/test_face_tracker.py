from pathlib import Path

import cv2
import numpy as np
import pytest

from liveavatar.face.picture import read_picture
from liveavatar.frames import Picture
from liveavatar.sync.face_tracker import FaceTracker
from liveavatar.sync.mouth_opening import measure_mouth_opening

SIZE = (240, 280)


@pytest.fixture(scope="module")
def portrait(photograph: Path) -> Picture:
    return np.asarray(cv2.resize(read_picture(photograph), SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def shift_picture(rgb: Picture, x: float, y: float) -> Picture:
    shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return np.asarray(cv2.warpAffine(rgb, shift, SIZE, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def test_follows_a_face_that_moves(portrait: Picture) -> None:
    tracker = FaceTracker()
    first = tracker.track_landmarks(portrait)
    assert first is not None
    for step in range(1, 9):
        landmarks = tracker.track_landmarks(shift_picture(portrait, 3 * step, -2 * step))
        assert landmarks is not None
        distance = (landmarks - first)[:468, :2].mean(axis=0)
        np.testing.assert_allclose(distance, (3 * step, -2 * step), atol=1.5)


def test_a_moving_head_does_not_open_the_mouth(portrait: Picture) -> None:
    tracker = FaceTracker()
    openings = []
    for step in range(10):
        landmarks = tracker.track_landmarks(shift_picture(portrait, 2 * step, step))
        assert landmarks is not None
        openings.append(measure_mouth_opening(landmarks))
    assert np.ptp(openings) < 0.08


def test_loses_a_face_and_finds_it_again(portrait: Picture) -> None:
    tracker = FaceTracker()
    assert tracker.track_landmarks(portrait) is not None
    assert all(tracker.track_landmarks(np.zeros_like(portrait)) is None for _ in range(14))
    assert any(tracker.track_landmarks(portrait) is not None for _ in range(13))

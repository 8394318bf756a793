import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.face.canonical import load_canonical_face
from liveavatar.face.pose import estimate_head_angles

angle = st.floats(-60, 60)


def rotation_about(axis: int, degrees: float) -> NDArray[np.float64]:
    """Rotation that carries the axis after `axis` towards the one after that."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = cos
    turn[second, first], turn[first, second] = sin, -sin
    return turn


def rotate_face(turn: NDArray[np.float64], scale: float = 20) -> NDArray[np.float32]:
    return (scale * load_canonical_face().vertices @ turn.T + (300, 200, 0)).astype(np.float32)


def test_the_canonical_face_looks_straight_ahead() -> None:
    pose = estimate_head_angles(rotate_face(np.eye(3)))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((0, 0, 0), abs=1e-3)


@given(angle)
@settings(deadline=None)
def test_yaw_is_positive_to_the_right_of_the_picture(degrees: float) -> None:
    points = rotate_face(rotation_about(1, -degrees))
    pose = estimate_head_angles(points)
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((degrees, 0, 0), abs=0.01)
    if degrees > 1:
        assert points[1, 0] > points[[234, 454], 0].mean()  # the nose, before the middle of the cheeks


@given(angle)
@settings(deadline=None)
def test_pitch_is_positive_downwards(degrees: float) -> None:
    points = rotate_face(rotation_about(0, degrees))
    pose = estimate_head_angles(points)
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((0, degrees, 0), abs=0.01)
    if degrees > 1:
        assert points[1, 1] > rotate_face(np.eye(3))[1, 1]


@given(st.floats(-179, 179))
@settings(deadline=None)
def test_roll_is_positive_towards_the_right_of_the_picture(degrees: float) -> None:
    points = rotate_face(rotation_about(2, degrees))
    pose = estimate_head_angles(points)
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((0, 0, degrees), abs=0.01)
    if 1 < degrees < 179:
        assert points[10, 0] > points[152, 0]  # the hairline, before the chin


@given(angle, angle, st.floats(1, 500))
@settings(deadline=None)
def test_size_and_place_do_not_matter(yaw: float, pitch: float, scale: float) -> None:
    turn = rotation_about(1, yaw) @ rotation_about(0, pitch)
    near, far = estimate_head_angles(rotate_face(turn, scale)), estimate_head_angles(rotate_face(turn, 20))
    assert (near.yaw, near.pitch, near.roll) == pytest.approx((far.yaw, far.pitch, far.roll), abs=0.05)


def test_an_open_mouth_does_not_change_the_pitch() -> None:
    points = rotate_face(np.eye(3))
    points[[14, 17, 84, 314, 152, 148, 377]] += (0, 60, 0)
    assert estimate_head_angles(points).pitch == pytest.approx(0, abs=0.01)

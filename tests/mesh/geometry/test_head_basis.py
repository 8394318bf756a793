"""The head's fields: neck and shoulders follow, and what the picture cuts stays."""

import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.arrays import Array
from liveavatar.mesh.geometry.cut_edges import measure_motion_shares
from liveavatar.mesh.geometry.face_landmarks import interocular_distance
from liveavatar.mesh.geometry.head_basis import DEGREES_OF_FREEDOM, build_head_basis
from liveavatar.mesh.geometry.rig import load_rig

SIZE, UNIT = 400, 60
SHIFT_X, SHIFT_Y = (DEGREES_OF_FREEDOM.index(name) for name in ("shift_x", "shift_y"))


def face_at(x: float, y: float) -> Landmarks:
    """A face of the rig whose middle is at (x, y), its eyes UNIT pixels apart."""
    neutral = load_rig().neutral
    points = neutral * np.float32(UNIT / interocular_distance(neutral))
    points[:, :2] += np.array([x, y], np.float32) - points[:468, :2].mean(0)
    return points


def person(top: int, left: int = 120, right: int = 280) -> NDArray[np.uint8]:
    """Opacity of a head from row `top` on, over shoulders that reach the lower edge."""
    opacity = np.zeros((SIZE, SIZE), np.uint8)
    opacity[top:300, left:right] = 255
    opacity[300:, 60:340] = 255
    return opacity


def shift_field(opacity: NDArray[np.uint8], axis: int, face: Landmarks) -> Array:
    """Displacement along its axis by a shift of one interocular unit, in units, over the nodes."""
    basis = build_head_basis(face, opacity)
    field = basis.fields[axis].reshape(basis.grid.rows, basis.grid.columns, 2)
    return np.asarray(field[..., axis - SHIFT_X] / UNIT)


def row_of(y: float, rows: int) -> int:
    return int(y * rows / SIZE)


def test_the_whole_face_shifts_and_shoulders_follow_in_part() -> None:
    field = shift_field(person(60), SHIFT_X, face_at(200, 180))
    middle = field.shape[1] // 2
    assert field[row_of(180, len(field)), middle] == pytest.approx(1, abs=0.02)
    assert 0.1 < field[row_of(330, len(field)), middle] < 0.5
    assert np.abs(field[: row_of(200, len(field)), 0]).max() < 0.02, "what is far beside the head"


def test_nothing_moves_across_an_edge_that_cuts_the_person() -> None:
    down = shift_field(person(0), SHIFT_Y, face_at(200, 180))
    middle = down.shape[1] // 2
    assert abs(down[0, middle]) < 0.05
    assert abs(down[-1, middle]) < 0.05
    assert down[row_of(180, len(down)), middle] == pytest.approx(1, abs=0.02)
    free = shift_field(person(30), SHIFT_Y, face_at(200, 180))
    assert free[0, middle] > 0.9, "hair that ends below the edge moves wholly"


def test_little_room_between_face_and_edge_limits_the_whole_head() -> None:
    low, high = face_at(200, 180), face_at(200, 180)
    high[:, 1] -= high[:, 1].min() - 12
    shares = [
        shift_field(person(0), SHIFT_Y, face)[row_of(float(face[:468, 1].mean()), 50), 25]
        for face in (low, high)
    ]
    assert shares[1] < 0.5 * shares[0]


def test_a_person_within_the_picture_moves_freely() -> None:
    opacity = np.zeros((SIZE, SIZE), np.uint8)
    opacity[50:350, 100:300] = 255
    nodes = np.dstack(np.meshgrid(np.arange(0, SIZE, 20.0), np.arange(0, SIZE, 20.0))).astype(np.float32)
    assert (measure_motion_shares(face_at(200, 180), opacity, nodes) == 1).all()

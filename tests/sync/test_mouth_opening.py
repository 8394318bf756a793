import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.face.canonical import load_canonical_face
from liveavatar.sync.mouth_opening import measure_mouth_opening

LOWER = [14, 87, 317]


def face(opening: float) -> np.ndarray:
    """The canonical face with its lower lip so many centimetres further down, irises at zero."""
    points = np.zeros((478, 3), np.float32)
    points[:468] = load_canonical_face().vertices
    points[LOWER, 1] += opening
    return points


def turn(yaw: float, pitch: float, roll: float) -> np.ndarray:
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    around_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    around_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(around_z @ around_x @ around_y)


@given(
    opening=st.floats(0, 2), angles=st.tuples(*[st.floats(-0.5, 0.5)] * 3), size=st.floats(3, 60),
    place=st.tuples(st.floats(0, 2000), st.floats(0, 1000)),
)  # fmt: skip
@settings(deadline=None)
def test_only_the_lips_count(
    opening: float, angles: tuple[float, float, float], size: float, place: tuple[float, float]
) -> None:
    landmarks = (size * face(opening) @ turn(*angles).T + np.array([*place, 0])).astype(np.float32)
    assert measure_mouth_opening(landmarks) - measure_mouth_opening(face(0)) == pytest.approx(
        opening, abs=0.01
    )

import numpy as np
import pytest

from face.scenes import draw_background, paste_picture, scale_picture
from liveavatar.face.canonical import load_canonical_face
from liveavatar.face.portrait import Landmarks
from liveavatar.face.search import find_faces
from liveavatar.frames import Picture

NOSE, CHIN, MOUTH_LEFT, MOUTH_RIGHT, EYE_LEFT, EYE_RIGHT = 1, 152, 61, 291, 468, 473


@pytest.fixture(scope="module")
def landmarks(hopper: Picture) -> Landmarks:
    return find_faces(hopper)[0].landmarks


def rms_distance(one: Landmarks, other: Landmarks) -> float:
    """Root mean square, in pixels of the picture."""
    return float(np.sqrt(np.mean(np.sum((one - other)[:, :2] ** 2, axis=1))))


def test_shape_and_type(landmarks: Landmarks) -> None:
    assert landmarks.shape == (478, 3)
    assert landmarks.dtype == np.float32
    assert np.isfinite(landmarks).all()


@pytest.mark.parametrize(
    ("point", "x", "y"),
    [(EYE_LEFT, 222, 189), (EYE_RIGHT, 304, 187), (MOUTH_LEFT, 231, 279), (MOUTH_RIGHT, 301, 276)],
)
def test_points_lie_where_a_person_would_put_them(landmarks: Landmarks, point: int, x: int, y: int) -> None:
    assert landmarks[point, :2].tolist() == pytest.approx((x, y), abs=3)


def test_the_nose_is_nearest_to_the_camera(landmarks: Landmarks) -> None:
    assert landmarks[NOSE, 2] < landmarks[[234, 454, CHIN], 2].min()


def test_the_mirror_image_has_the_mirrored_points(hopper: Picture, landmarks: Landmarks) -> None:
    mirrored = find_faces(np.ascontiguousarray(hopper[:, ::-1]))[0].landmarks[
        load_canonical_face().mirror_indices
    ]
    mirrored[:, 0] = hopper.shape[1] - 1 - mirrored[:, 0]
    assert rms_distance(mirrored, landmarks) < 0.5


def test_a_moved_picture_has_moved_points(hopper: Picture, landmarks: Landmarks) -> None:
    scene = paste_picture(draw_background(700, 700), hopper, 123, 77)
    assert rms_distance(find_faces(scene)[0].landmarks - (123, 77, 0), landmarks) < 2


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
def test_a_scaled_picture_has_scaled_points(hopper: Picture, landmarks: Landmarks, scale: float) -> None:
    """Whole numbers are the middles of pixels, so scaling keeps (-0.5, -0.5), the picture's corner."""
    found = find_faces(scale_picture(hopper, scale))[0].landmarks
    back = (found + 0.5) / scale - 0.5
    assert rms_distance(back, landmarks) < 2
    assert np.abs((back - landmarks)[:, :2].mean(axis=0)).max() < 0.7

import numpy as np
import pytest

from face.scenes import draw_background, paste_picture, rotate_picture, scale_picture
from liveavatar.face.search import CLEAR_FACE_TRUST, find_faces
from liveavatar.frames import Picture


def test_one_clear_face(hopper: Picture) -> None:
    (face,) = find_faces(hopper)
    assert face.trust > CLEAR_FACE_TRUST
    assert face.extent == pytest.approx((171, 132, 355, 334), abs=6)
    assert face.size == pytest.approx(202, abs=6)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.1, 0.2, 0.3, 0.5, 2.0, 3.0])
def test_faces_of_every_size(hopper: Picture, scale: float) -> None:
    (face,) = find_faces(scale_picture(hopper, scale))
    assert face.size == pytest.approx(202 * scale, rel=0.08)


@pytest.mark.parametrize("degrees", [-90, -35, -20, 20, 35, 90])
def test_turned_heads(hopper: Picture, degrees: float) -> None:
    (upright,) = find_faces(hopper)
    picture, matrix = rotate_picture(hopper, degrees)
    (face,) = find_faces(picture)
    expected = upright.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    assert np.sqrt(np.mean((face.landmarks[:, :2] - expected) ** 2)) < 0.02 * upright.size


@pytest.mark.parametrize(("left", "top"), [(0, 0), (170, 300), (280, 600)])
def test_a_small_face_in_a_tall_picture(hopper: Picture, left: int, top: int) -> None:
    small = scale_picture(hopper[90:370, 120:420], 0.3)  # 60 pixels from hairline to chin
    (face,) = find_faces(paste_picture(draw_background(400, 720), small, left, top))
    assert face.size == pytest.approx(60, abs=5)
    assert face.extent[0] == pytest.approx(left + 15, abs=5)
    assert face.extent[1] == pytest.approx(top + 13, abs=5)


def test_a_face_that_fills_the_picture(hopper: Picture) -> None:
    (face,) = find_faces(np.ascontiguousarray(hopper[125:345, 165:360]))
    assert face.size == pytest.approx(202, rel=0.08)


def test_several_faces_come_largest_first(hopper: Picture) -> None:
    scene = paste_picture(
        paste_picture(draw_background(1200, 700), scale_picture(hopper, 0.6), 20, 50), hopper, 600, 80
    )
    faces = find_faces(scene)
    assert [round(face.size / 10) for face in faces] == [20, 12]
    assert [face.extent[0] > 600 for face in faces] == [True, False]


def test_each_face_is_found_once(hopper: Picture) -> None:
    row = np.concatenate([scale_picture(hopper, 0.4)] * 4, axis=1)
    assert len(find_faces(row)) == 4


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_no_face(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert find_faces(noise) == []


@pytest.mark.slow
def test_plain_scenes_have_no_face() -> None:
    assert find_faces(draw_background(640, 480)) == []
    assert find_faces(np.zeros((8, 8, 3), np.uint8)) == []
    assert find_faces(np.full((1, 1, 3), 255, np.uint8)) == []


@pytest.mark.slow
def test_a_headless_portrait_has_no_face(hopper: Picture) -> None:
    assert find_faces(np.ascontiguousarray(hopper[360:])) == []


@pytest.mark.parametrize("change", ["dark", "pale", "grey"])
def test_light_and_colour_hardly_matter(hopper: Picture, change: str) -> None:
    changed = {
        "dark": hopper // 6,
        "pale": 150 + hopper // 3,
        "grey": np.repeat(hopper.mean(axis=2, keepdims=True), 3, axis=2),
    }[change]
    (face,) = find_faces(changed.astype(np.uint8))
    assert face.extent == pytest.approx((171, 132, 355, 334), abs=8)

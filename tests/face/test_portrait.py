from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from face.scenes import draw_background, paste_picture, scale_picture
from liveavatar.errors import PortraitError
from liveavatar.face.portrait import Portrait, find_portrait, load_portrait
from liveavatar.face.search import CLEAR_FACE_TRUST
from liveavatar.frames import Picture


def write_png(rgb: Picture, path: Path) -> Path:
    cv2.imwrite(str(path), rgb[..., ::-1])
    return path


@pytest.fixture(scope="module")
def couple(hopper: Picture) -> Picture:
    """A face of 202 pixels on the right, one of 121 on the left."""
    return paste_picture(
        paste_picture(draw_background(1200, 700), scale_picture(hopper, 0.6), 20, 50), hopper, 600, 80
    )


def mean_x(portrait: Portrait) -> float:
    return float(portrait.landmarks[:, 0].mean())


def test_a_portrait_is_complete(portrait: Portrait, hopper: Picture) -> None:
    assert (portrait.rgb == hopper).all()
    assert portrait.landmarks.shape == (478, 3)
    assert portrait.matte.shape == hopper.shape[:2]
    assert portrait.face_count == 1
    assert portrait.trust > CLEAR_FACE_TRUST


def test_the_same_file_gives_the_same_portrait(portrait: Portrait, hopper_path: Path) -> None:
    again = load_portrait(str(hopper_path))
    assert (again.landmarks == portrait.landmarks).all()
    assert (again.matte == portrait.matte).all()


@pytest.mark.slow
def test_threads_may_load_at_once(portrait: Portrait, hopper_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(load_portrait, [hopper_path] * 8):
            assert (other.landmarks == portrait.landmarks).all()
            assert (other.matte == portrait.matte).all()


@pytest.mark.parametrize(("face", "right"), [(None, True), (1, True), (2, False)])
def test_faces_are_numbered_from_the_largest(couple: Picture, face: int | None, right: bool) -> None:
    chosen = find_portrait(couple, face)
    assert chosen.face_count == 2
    assert (mean_x(chosen) > 600) == right


@pytest.mark.parametrize("face", [3, 0, -1])
def test_a_face_that_is_not_there(couple: Picture, face: int) -> None:
    with pytest.raises(PortraitError, match=rf"there is no face {face} in the picture; choose face 1…2"):
        find_portrait(couple, face)


def test_the_only_face_is_number_one(hopper: Picture) -> None:
    with pytest.raises(PortraitError, match="choose face 1, the only one"):
        find_portrait(hopper, 2)


def test_no_face(tmp_path: Path) -> None:
    path = write_png(draw_background(320, 240), tmp_path / "empty room.png")
    with pytest.raises(
        PortraitError, match=r"no face was found in .*empty room.png; use a picture of one face"
    ):
        load_portrait(path)


@pytest.mark.slow
@pytest.mark.parametrize("wide", [False, True])
def test_a_face_of_20_pixels(hopper: Picture, tmp_path: Path, wide: bool) -> None:
    small = scale_picture(hopper, 0.1)
    path = write_png(
        paste_picture(draw_background(640, 400), small, 300, 150) if wide else small, tmp_path / "far.png"
    )
    with pytest.raises(
        PortraitError, match=r"the face in .*far.png is only (19|2\d) pixels high; use .* 40 pixels"
    ):
        load_portrait(path)


@pytest.mark.slow
def test_a_picture_on_its_head(hopper: Picture) -> None:
    with pytest.raises(PortraitError, match="turn the picture by 180°"):
        find_portrait(np.ascontiguousarray(hopper[::-1, ::-1]))


def test_a_read_only_picture_is_left_alone(hopper: Picture) -> None:
    before = hopper.copy()
    find_portrait(hopper)
    assert (hopper == before).all()

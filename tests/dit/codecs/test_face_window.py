import numpy as np
import pytest

from liveavatar.dit.codecs.face_window import (
    FacePaster,
    FaceWindow,
    check_known_face,
    choose_face_window,
    cut_face,
    move_window,
)
from liveavatar.errors import PortraitError
from liveavatar.face.crop import crop_portrait
from liveavatar.face.portrait import Portrait

PIXELS = 128


def test_the_window_is_around_the_face(portrait: Portrait) -> None:
    window = choose_face_window(portrait.landmarks)
    face = portrait.landmarks[:468, :2]
    assert window.side == pytest.approx(1.55 * np.ptp(face[:, 1]), abs=1)
    middle = np.array([window.left, window.top]) + window.side / 2
    np.testing.assert_allclose(middle, (face.min(0) + face.max(0)) / 2, atol=1)


def test_beyond_the_picture_its_edge_is_repeated() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    cut = cut_face(rgb, FaceWindow(-5, -3, 16), 16)
    assert np.array_equal(cut[3:, 5:], rgb[:13, :11])
    assert np.array_equal(cut[:4], np.repeat(cut[3:4], 4, axis=0))


@pytest.mark.parametrize("size", [(160, 192), (96, 96), (320, 240), (130, 190)])
def test_the_window_moves_with_the_picture(portrait: Portrait, size: tuple[int, int]) -> None:
    fitted = crop_portrait(portrait, size)
    moved = move_window(choose_face_window(portrait.landmarks), portrait.landmarks, fitted.landmarks)
    again = choose_face_window(fitted.landmarks)
    for part, other in ((moved.left, again.left), (moved.top, again.top), (moved.side, again.side)):
        assert part == pytest.approx(other, abs=2)


@pytest.mark.parametrize("size", [None, (96, 96), (320, 384)])
def test_a_face_at_rest_leaves_the_portrait_as_it_is(
    portrait: Portrait, size: tuple[int, int] | None
) -> None:
    paster, still, face = open_paster(portrait, size)
    assert np.array_equal(paster.paste_face(face), still.rgb)


def open_paster(
    portrait: Portrait, size: tuple[int, int] | None = None
) -> tuple[FacePaster, Portrait, np.ndarray]:
    window, still = choose_face_window(portrait.landmarks), crop_portrait(portrait, size)
    face = cut_face(portrait.rgb, window, PIXELS)
    return FacePaster(still, move_window(window, portrait.landmarks, still.landmarks), face), still, face


def test_what_moved_is_seen_where_it_moved(portrait: Portrait) -> None:
    paster, still, face = open_paster(portrait)
    window = choose_face_window(portrait.landmarks)
    drawn = face.copy()
    drawn[80:100, 54:74] = 255, 0, 0
    frame = paster.paste_face(drawn)
    scale = window.side / PIXELS
    row, column = round(window.top + 90 * scale), round(window.left + 64 * scale)
    assert frame[row, column].tolist() == pytest.approx([255, 0, 0], abs=3)
    changed = np.abs(frame.astype(int) - still.rgb).max(axis=2) > 0
    rows, columns = np.nonzero(changed)
    assert rows.min() > window.top + 74 * scale
    assert rows.max() < window.top + 106 * scale
    assert columns.min() > window.left + 48 * scale
    assert columns.max() < window.left + 80 * scale


def test_the_background_and_the_edge_of_the_square_stay(portrait: Portrait) -> None:
    paster, still, face = open_paster(portrait)
    frame = paster.paste_face(255 - face)
    change = np.abs(frame.astype(int) - still.rgb).max(axis=2)
    window = choose_face_window(portrait.landmarks)
    outside = np.ones(change.shape, bool)
    inside = slice(int(window.top), int(window.top + window.side)), slice(int(window.left), None)
    outside[inside] = False
    assert change[outside].max() == 0
    assert change[still.matte > 250].max() > 100
    far = still.matte == 0
    far[80:] = False
    assert np.median(change[far]) == 0


def test_only_a_known_face_is_drawn(portrait: Portrait) -> None:
    face = cut_face(portrait.rgb, choose_face_window(portrait.landmarks), PIXELS)
    near = np.clip(face.astype(int) + np.random.default_rng(0).integers(-8, 9, face.shape), 0, 255)
    check_known_face(face, near.astype(np.uint8))
    with pytest.raises(PortraitError, match="one face only"):
        check_known_face(face, np.ascontiguousarray(face[:, ::-1]))

import numpy as np
import pytest

from face.scenes import draw_background, paste_picture, scale_picture
from liveavatar.face.matte import compute_person_matte
from liveavatar.face.portrait import Portrait, find_portrait
from liveavatar.frames import Picture


def test_a_share_for_every_pixel(portrait: Portrait) -> None:
    assert portrait.matte.shape == portrait.rgb.shape[:2]
    assert portrait.matte.dtype == np.uint8


def test_the_person_is_in_and_the_background_out(portrait: Portrait) -> None:
    matte = portrait.matte
    assert matte[140:300, 200:330].mean() > 250  # the face
    assert matte[480:590, 100:400].min() > 240  # the uniform
    assert matte[60:100, 220:290].mean() > 230  # the cap
    assert matte[:300, 440:].max() < 20  # blue to the right
    assert matte[:250, :60].mean() < 5  # the flag


def test_edges_are_soft(portrait: Portrait) -> None:
    soft = (portrait.matte > 20) & (portrait.matte < 235)
    assert 0.002 < soft.mean() < 0.1


def test_edges_follow_the_picture(portrait: Portrait) -> None:
    """At the right cheek the matte falls where skin turns to blue."""
    for row in range(230, 300, 10):
        blue = portrait.rgb[row, :, 2].astype(int) - portrait.rgb[row, :, 0] > 20
        edge = 320 + int(np.argmax(blue[320:]))
        falls = 320 + int(np.argmax(portrait.matte[row, 320:] < 128))
        assert abs(edge - falls) <= 6


@pytest.mark.parametrize("scale", [0.5, 2.5])
def test_the_matte_hardly_depends_on_size(hopper: Picture, portrait: Portrait, scale: float) -> None:
    other = find_portrait(scale_picture(hopper, scale)).matte.astype(np.uint8)
    back = scale_picture(np.repeat(other[..., None], 3, axis=2), 1 / scale)[
        : hopper.shape[0], : hopper.shape[1], 0
    ]
    assert np.abs(back.astype(int) - portrait.matte[: back.shape[0], : back.shape[1]]).mean() < 8


def test_a_person_who_stands_apart_is_left_out(hopper: Picture) -> None:
    small = scale_picture(hopper, 0.6)
    scene = paste_picture(paste_picture(draw_background(1300, 640), small, 20, 200), hopper, 700, 20)
    chosen = find_portrait(scene)
    assert chosen.matte[170:320, 900:1030].mean() > 250
    assert chosen.matte[:, :400].max() < 10
    other = find_portrait(scene, face=2)
    assert other.matte[290:380, 140:220].mean() > 250
    assert other.matte[:, 750:].max() < 10


def test_the_face_belongs_to_the_person_in_any_case(hopper: Picture, portrait: Portrait) -> None:
    blank = np.full_like(hopper, 128)
    matte = compute_person_matte(blank, portrait.landmarks)
    assert matte[160:280, 210:320].min() > 200

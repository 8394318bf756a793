"""Glasses are found by their bridge, and hold brows and cheeks."""

import cv2
import numpy as np
import pytest

from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.expression import SHAPE_TO_ARKIT, build_face_shapes
from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.face_landmarks import EYE_LANDMARKS, interocular_distance
from liveavatar.mesh.geometry.glasses import choose_brow_share


def paint_bare_face(portrait: Portrait, slope: float) -> Picture:
    """Skin whose brightness changes evenly, where the face of `portrait` is."""
    height, width = portrait.rgb.shape[:2]
    light = 1 + slope * np.linspace(-0.5, 0.5, height)[:, None, None]
    return np.asarray((np.full((height, width, 3), (200, 150, 125)) * light).clip(0, 255), np.uint8)


def put_on_glasses(portrait: Portrait, rgb: Picture, colour: tuple[int, int, int]) -> Picture:
    """Two rings around the eyes and a bridge between them."""
    worn, thick = rgb.copy(), max(1, round(0.05 * interocular_distance(portrait.landmarks)))
    middles = [portrait.landmarks[[*eye.upper, *eye.lower], :2].mean(0) for eye in EYE_LANDMARKS]
    radius = int(0.33 * np.linalg.norm(middles[1] - middles[0]))
    for middle in middles:
        cv2.circle(worn, middle.astype(int).tolist(), radius, colour, thick, cv2.LINE_AA)
    ends = [middle.astype(int).tolist() for middle in middles]
    offset = np.array([radius, 0])
    cv2.line(
        worn,
        (np.array(ends[0]) + offset).tolist(),
        (np.array(ends[1]) - offset).tolist(),
        colour,
        thick,
        cv2.LINE_AA,
    )
    return worn


@pytest.mark.parametrize("slope", [0.0, 0.6, -0.6])
def test_bare_faces_move_their_brows_wholly(portrait: Portrait, slope: float) -> None:
    assert choose_brow_share(paint_bare_face(portrait, slope), portrait.landmarks) == 1


@pytest.mark.parametrize("colour", [(20, 20, 25), (250, 250, 250), (60, 90, 200)])
def test_brows_stay_still_behind_glasses(portrait: Portrait, colour: tuple[int, int, int]) -> None:
    worn = put_on_glasses(portrait, paint_bare_face(portrait, 0.2), colour)
    assert choose_brow_share(worn, portrait.landmarks) < 0.2


def test_the_horn_rimmed_glasses_of_the_photograph_are_found(portrait: Portrait) -> None:
    assert choose_brow_share(portrait.rgb, portrait.landmarks) < 0.4


def test_a_share_holds_brows_and_cheeks_alone(portrait: Portrait) -> None:
    nothing = as_float32(np.zeros((478, 2)))
    free, held = (build_face_shapes(portrait.landmarks, nothing, share) for share in (1.0, 0.2))
    for name in ("brow", "brow_inner", "brow_down", "cheek"):
        row = list(SHAPE_TO_ARKIT).index(name)
        assert held[row] == pytest.approx(0.2 * free[row], abs=1e-5)
    jaw = list(SHAPE_TO_ARKIT).index("jaw")
    assert np.array_equal(held[jaw], free[jaw])

"""Hands, dark glasses, drawings, paintings: they speak, or are refused with a reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar.errors import PortraitError
from liveavatar.face.picture import read_picture
from liveavatar.face.portrait import Portrait, find_portrait
from liveavatar.frames import Picture
from liveavatar.mesh.expression import RESTING_ARTICULATION, MouthArticulation, build_expression
from liveavatar.mesh.geometry.face_landmarks import CHIN_LANDMARK, EYE_LANDMARKS, interocular_distance
from liveavatar.mesh.motion.head_pose import RESTING_POSE
from liveavatar.mesh.render.face_renderer import FaceRenderer
from liveavatar.mesh.session import MeshActor, MeshEngine

REST_POSE = RESTING_POSE
VOWEL = replace(RESTING_ARTICULATION, jaw=1.0)


@pytest.fixture(scope="module")
def plain(photograph: Path) -> Portrait:
    """The photograph, reduced."""
    return find_portrait(
        np.asarray(cv2.resize(read_picture(photograph), (320, 374), interpolation=cv2.INTER_AREA))
    )


def with_hand(plain: Portrait, over: float) -> Picture:
    """Four fingers before the throat, reaching `over` interocular units above the chin."""
    unit, chin, rgb = (
        interocular_distance(plain.landmarks),
        plain.landmarks[CHIN_LANDMARK, :2],
        plain.rgb.copy(),
    )
    for finger in range(4):
        tip = chin + unit * np.array([0.22 * finger - 0.33, 0.1 - over])
        root = tip + unit * np.array([0.05, 1.2])
        for width, colour in ((0.23, (120, 80, 65)), (0.18, (215, 160, 135))):
            cv2.line(
                rgb,
                tip.astype(int).tolist(),
                root.astype(int).tolist(),
                colour,
                int(width * unit),
                cv2.LINE_AA,
            )
    return rgb


def with_dark_glasses(plain: Portrait) -> Picture:
    rgb = plain.rgb.copy()
    for eye in EYE_LANDMARKS:
        x, y = plain.landmarks[[*eye.upper, *eye.lower], :2].mean(0).tolist()
        cv2.ellipse(rgb, (int(x), int(y)), (28, 22), 0, 0, 360, (18, 18, 22), -1, cv2.LINE_AA)
    return rgb


def drawn_in_pencil(plain: Portrait) -> Picture:
    grey = cv2.cvtColor(plain.rgb, cv2.COLOR_RGB2GRAY)
    around = 255 - cv2.GaussianBlur(255 - grey, (0, 0), 6)
    return np.asarray(cv2.cvtColor(cv2.divide(grey, around, scale=256), cv2.COLOR_GRAY2RGB), np.uint8)


def painted(plain: Portrait) -> Picture:
    """Few colours in flat patches."""
    flat = cv2.bilateralFilter(cv2.medianBlur(plain.rgb, 3), 9, 40, 7)
    return np.asarray(flat // 32 * 32 + 16, np.uint8)


VARIANTS: dict[str, Callable[[Portrait], Picture]] = {
    "hand under the chin": lambda plain: with_hand(plain, 0.0),
    "hand over the chin": lambda plain: with_hand(plain, 0.15),
    "dark glasses": with_dark_glasses,
    "pencil": drawn_in_pencil,
    "paint": painted,
}


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest, plain: Portrait) -> tuple[Portrait, MeshActor]:
    portrait = find_portrait(VARIANTS[request.param](plain))
    return portrait, MeshEngine().open(portrait, None)


def opening_pixels(renderer: FaceRenderer, articulation: MouthArticulation) -> float:
    """Largest height between the lips over all columns, pixels."""
    maps = renderer._build_maps(build_expression(articulation, REST_POSE))
    upper, lower = renderer.lips.side_opacities(
        maps.face_positions(maps.upper, renderer.mouth_box),
        maps.face_positions(maps.lower, renderer.mouth_box),
    )
    return float(((1 - upper) * (1 - lower)).sum(0).max())


def test_lips_open_and_close(variant: tuple[Portrait, MeshActor]) -> None:
    portrait, actor = variant
    assert opening_pixels(actor.renderer, VOWEL) > 0.12 * interocular_distance(portrait.landmarks)
    assert opening_pixels(actor.renderer, replace(VOWEL, closure=1.0)) < 1.5
    assert opening_pixels(actor.renderer, RESTING_ARTICULATION) < 0.5


def test_at_rest_the_frame_is_the_picture(variant: tuple[Portrait, MeshActor]) -> None:
    portrait, actor = variant
    assert (
        np.abs(
            actor.renderer.render(build_expression(RESTING_ARTICULATION, REST_POSE)).astype(int)
            - portrait.rgb
        ).max()
        <= 1
    )


def test_a_vowel_moves_only_the_face(variant: tuple[Portrait, MeshActor]) -> None:
    """The brows, and everything far below the chin, do not change."""
    portrait, actor = variant
    unit, points = interocular_distance(portrait.landmarks), portrait.landmarks
    change: NDArray[np.int64] = np.abs(
        actor.renderer.render(build_expression(VOWEL, REST_POSE)).astype(int) - portrait.rgb
    )
    brows = int(points[list(EYE_LANDMARKS[0].brow + EYE_LANDMARKS[1].brow), 1].max())
    assert np.quantile(change[:brows], 0.99) <= 2
    assert change[int(points[CHIN_LANDMARK, 1] + 1.1 * unit) :].max(initial=0) <= 2
    assert change.max() > 60


def test_a_face_of_strokes_is_refused() -> None:
    rgb = np.full((300, 300, 3), 250, np.uint8)
    cv2.circle(rgb, (150, 150), 110, (250, 210, 60), -1, cv2.LINE_AA)
    for x in (110, 190):
        cv2.circle(rgb, (x, 120), 12, (20, 20, 20), -1, cv2.LINE_AA)
    cv2.ellipse(rgb, (150, 170), (60, 45), 0, 20, 160, (20, 20, 20), 6, cv2.LINE_AA)
    with pytest.raises(PortraitError, match="no face was found"):
        find_portrait(rgb)


@pytest.mark.slow
def test_a_face_unlike_the_rig_moves_less(plain: Portrait) -> None:
    troll = plain.landmarks.copy()
    below = troll[:468, 1] > troll[1, 1]
    troll[:468, 0] += 0.6 * (troll[:468, 0] - troll[1, 0]) * below
    drawn = MeshEngine(motion=0.8).open(replace(plain, landmarks=troll), None)
    assert MeshEngine(motion=0.8).open(plain, None).motion == 0.8
    assert drawn.motion == pytest.approx(0.2 * 0.8)

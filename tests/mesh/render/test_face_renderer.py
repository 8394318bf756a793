"""One frame out of its layers: exact at rest, sharp in motion, and no pixel drawn that need not be."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar.face.portrait import Portrait
from liveavatar.mesh.expression import SHAPE_TO_ARKIT
from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.boxes import pixel_positions, slice_box
from liveavatar.mesh.render.face_renderer import FaceRenderer, FrameExpression, blend_premultiplied
from liveavatar.mesh.session import MeshEngine

REST = FrameExpression(
    shapes=as_float32([0.0] * len(SHAPE_TO_ARKIT) + [1.0]),
    head=as_float32([0.0] * 6),
    blink=(0.0, 0.0),
    gaze=(0.0, 0.0),
    jaw=0.0,
    tongue=0.0,
)


@pytest.fixture(scope="module")
def stage(portrait: Portrait) -> FaceRenderer:
    return MeshEngine().open(portrait, None).renderer


def saying(shape: str, weight: float, head: float = 0.0) -> FrameExpression:
    weights = [weight * (name == shape) for name in SHAPE_TO_ARKIT] + [1.0]
    return replace(REST, shapes=as_float32(weights), head=as_float32([head] * 6), jaw=0.1 * weight)


def test_the_same_expression_gives_the_same_frame(stage: FaceRenderer) -> None:
    once, _, again = (stage.render(e) for e in (saying("jaw", 1), REST, saying("jaw", 1)))
    assert np.array_equal(once, again)


def test_after_everything_it_comes_back_to_the_portrait(portrait: Portrait, stage: FaceRenderer) -> None:
    stage.render(replace(saying("jaw", 1, 0.05), blink=(1.0, 1.0), gaze=(0.2, 0.1)))
    assert np.abs(stage.render(REST).astype(int) - portrait.rgb).max() <= 1


@pytest.mark.parametrize("shape", ["jaw", "round", "spread", "press", "brow"])
@pytest.mark.parametrize("head", [0.0, 0.04])
def test_outside_the_lip_box_the_lips_agree_with_the_figure(
    stage: FaceRenderer, shape: str, head: float
) -> None:
    """Where only the figure is drawn, drawing the two lips over it would change nothing to speak of."""
    maps = stage._build_maps(saying(shape, 1, head))
    box, lips = stage._lip_box(maps), stage.mouth_box
    assert box is not None
    figure = stage.texture.sample(stage.texture.scale * maps.face_positions(maps.face, lips)).astype(float)
    upper_at, lower_at = (maps.face_positions(side, lips) for side in (maps.upper, maps.lower))
    upper, lower = (
        stage.texture.sample(stage.texture.scale * at).astype(float) for at in (upper_at, lower_at)
    )
    share, below = (part[..., None] for part in stage.lips.side_opacities(upper_at, lower_at))
    opening = ((1 - share) * (1 - below))[..., 0]
    change = np.abs(upper * share + (1 - share) * lower - figure).max(2)
    slice_box(opening, box, lips)[:] = 0
    slice_box(change, box, lips)[:] = 0
    assert opening.max() < 0.01
    assert np.quantile(change, 0.995) <= 3
    assert change.max() < 12


def test_the_lip_box_is_small_while_the_mouth_is_shut(stage: FaceRenderer) -> None:
    shut, wide = (stage._lip_box(stage._build_maps(saying("jaw", weight))) for weight in (0.0, 1.0))
    assert shut is not None
    assert wide is not None
    assert (wide[3] - wide[1]) > 1.2 * (shut[3] - shut[1])


def test_a_turned_head_is_as_sharp_as_the_portrait(stage: FaceRenderer, portrait: Portrait) -> None:
    x0, y0, x1, y1 = stage.face_box
    still, turned = (
        float(cv2.Laplacian(stage.render(e), cv2.CV_32F)[y0:y1, x0:x1].std())
        for e in (REST, replace(REST, head=as_float32([0.02, 0.01, 0, 0, 0, 0])))
    )
    assert 0.72 * still < turned < 1.1 * still


def test_outside_the_moving_box_nothing_ever_changes(stage: FaceRenderer) -> None:
    frame = stage.render(saying("jaw", 1, 0.05))
    outside = np.ones(frame.shape[:2], bool)
    slice_box(outside, stage.moving_box)[:] = False
    assert np.array_equal(frame[outside], stage.static_picture[outside])


def test_blending_adds_what_the_figure_leaves() -> None:
    target = np.full((2, 3, 3), 100, np.uint8)
    figure: NDArray[np.uint8] = np.zeros((2, 3, 4), np.uint8)
    figure[:, 1] = (40, 50, 60, 128)
    figure[:, 2] = (1, 2, 3, 255)
    blend_premultiplied(target, figure)
    assert target[0].tolist() == [[100, 100, 100], [90, 100, 110], [1, 2, 3]]


def test_windows_of_windows() -> None:
    whole = pixel_positions((0, 0, 9, 9))
    part = slice_box(whole, (2, 3, 8, 9))
    assert np.array_equal(slice_box(part, (4, 5, 6, 7), (2, 3, 8, 9)), pixel_positions((4, 5, 6, 7)))


def test_the_lower_teeth_go_down_with_the_portraits_own_parting(stage: FaceRenderer) -> None:
    """Where shutting a smile is undone, its teeth lie as under a jaw that speech has opened as far."""
    unit = np.float32(stage.unit)
    smiling = replace(stage, lips=replace(stage.lips, lower=stage.lips.upper + np.float32(0.1) * unit))
    at, opening = (
        pixel_positions(stage.mouth_box),
        np.ones(pixel_positions(stage.mouth_box).shape[:2], np.float32),
    )
    weights = np.zeros(len(SHAPE_TO_ARKIT) + 1, np.float32)
    parted = replace(saying("jaw", 0.0), shapes=weights)
    shut = replace(parted, shapes=np.append(weights[:-1], np.float32(1)))
    spoken = replace(shut, jaw=0.75 * 0.1)
    as_smiled, as_spoken, as_shut = (
        smiling._render_interior(at, said, opening).astype(int) for said in (parted, spoken, shut)
    )
    assert np.abs(as_smiled - as_spoken).max() <= 2
    assert np.abs(as_smiled - as_shut).max() > 40

"""One frame from its layers: exact at rest, sharp in motion, lips composited only where needed."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar.face.portrait import Portrait
from liveavatar.mesh.expression import SHAPE_TO_ARKIT
from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.boxes import slice_box
from liveavatar.mesh.render.face_renderer import FaceRenderer, FrameExpression, blend_premultiplied
from liveavatar.mesh.session import MeshEngine

REST = FrameExpression(
    shapes=as_float32([0.0] * (len(SHAPE_TO_ARKIT) + 1)),
    head=as_float32([0.0] * 6),
    blink=(0.0, 0.0),
    gaze=(0.0, 0.0),
    jaw=0.0,
    tongue=0.0,
)


@pytest.fixture(scope="module")
def renderer(portrait: Portrait) -> FaceRenderer:
    return MeshEngine().open(portrait, None).renderer


def shape_expression(shape: str, weight: float, head: float = 0.0) -> FrameExpression:
    weights = [weight * (name == shape) for name in SHAPE_TO_ARKIT] + [0.0]
    return replace(REST, shapes=as_float32(weights), head=as_float32([head] * 6), jaw=0.1 * weight)


def test_the_same_expression_gives_the_same_frame(renderer: FaceRenderer) -> None:
    once, _, again = (
        renderer.render(e) for e in (shape_expression("jaw", 1), REST, shape_expression("jaw", 1))
    )
    assert np.array_equal(once, again)


def test_the_renderer_has_no_state(portrait: Portrait, renderer: FaceRenderer) -> None:
    renderer.render(replace(shape_expression("jaw", 1, 0.05), blink=(1.0, 1.0), gaze=(0.2, 0.1)))
    assert np.abs(renderer.render(REST).astype(int) - portrait.rgb).max() <= 1


@pytest.mark.parametrize(
    "head",
    [
        (0, 0, 0, 0.15, 0.15, 0),
        (0, 0, 0, -0.15, -0.15, 1),
        (0.105, -0.105, 0.052, 0, 0, 0),
        (-0.105, 0.105, -0.052, 0, 0, 0),
    ],
)
def test_eyes_are_whole_wherever_the_head_has_moved_them(
    renderer: FaceRenderer, head: tuple[float, ...]
) -> None:
    """Shifts of 0.15 interocular units, angles of 6 and 3 degrees."""
    expression = replace(shape_expression("brow", 1), head=as_float32(head))
    texels = renderer._texel_positions(renderer._build_maps(expression))
    for eye in renderer.eye_layers:
        at = eye.window.locate_texels(texels)
        height, width = eye.window.v.shape
        inside = (at > 0).all(2) & (at[..., 0] < width - 1) & (at[..., 1] < height - 1)
        assert inside.sum() > 0.8 * (height * width) / renderer.texture.scale**2
        box = eye._find_box(texels)
        assert box is not None
        assert slice_box(inside.astype(np.uint8), box).sum() == inside.sum()
        assert slice_box(inside.astype(np.uint8), box).mean() > 0.3, "little more than the eye"


@pytest.mark.parametrize("shape", ["jaw", "round", "spread", "press", "brow"])
@pytest.mark.parametrize("head", [0.0, 0.04])
def test_outside_the_lip_box_compositing_lips_changes_nothing(
    renderer: FaceRenderer, shape: str, head: float
) -> None:
    """Compositing the two lips there would change few pixels, and those little."""
    maps = renderer._build_maps(shape_expression(shape, 1, head))
    box, lips = renderer._lip_box(maps), renderer.mouth_box
    assert box is not None
    figure = renderer.texture.sample(renderer.texture.scale * maps.face_positions(maps.face, lips)).astype(
        float
    )
    upper_at, lower_at = (maps.face_positions(side, lips) for side in (maps.upper, maps.lower))
    upper, lower = (
        renderer.texture.sample(renderer.texture.scale * at).astype(float) for at in (upper_at, lower_at)
    )
    share, below = (part[..., None] for part in renderer.lips.side_opacities(upper_at, lower_at))
    opening = ((1 - share) * (1 - below))[..., 0]
    change = np.abs(upper * share + (1 - share) * lower - figure).max(2)
    slice_box(opening, box, lips)[:] = 0
    slice_box(change, box, lips)[:] = 0
    assert opening.max() < 0.01
    assert np.quantile(change, 0.995) <= 3
    assert change.max() < 12


def test_the_lip_box_is_small_in_a_closed_mouth(renderer: FaceRenderer) -> None:
    shut, wide = (
        renderer._lip_box(renderer._build_maps(shape_expression("jaw", weight))) for weight in (0.0, 1.0)
    )
    assert shut is not None
    assert wide is not None
    assert (wide[3] - wide[1]) > 1.2 * (shut[3] - shut[1])


def test_a_turned_head_is_as_sharp_as_the_portrait(renderer: FaceRenderer, portrait: Portrait) -> None:
    x0, y0, x1, y1 = renderer.face_box
    still, turned = (
        float(cv2.Laplacian(renderer.render(e), cv2.CV_32F)[y0:y1, x0:x1].std())
        for e in (REST, replace(REST, head=as_float32([0.02, 0.01, 0, 0, 0, 0])))
    )
    assert 0.72 * still < turned < 1.1 * still


def test_outside_the_moving_box_nothing_changes(renderer: FaceRenderer) -> None:
    frame = renderer.render(shape_expression("jaw", 1, 0.05))
    outside = np.ones(frame.shape[:2], bool)
    slice_box(outside, renderer.moving_box)[:] = False
    assert np.array_equal(frame[outside], renderer.static_picture[outside])


def test_premultiplied_layers_are_blended() -> None:
    target = np.full((2, 3, 3), 100, np.uint8)
    figure: NDArray[np.uint8] = np.zeros((2, 3, 4), np.uint8)
    figure[:, 1] = (40, 50, 60, 128)
    figure[:, 2] = (1, 2, 3, 255)
    blend_premultiplied(target, figure)
    assert target[0].tolist() == [[100, 100, 100], [90, 100, 110], [1, 2, 3]]

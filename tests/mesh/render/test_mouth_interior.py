"""The inside of the mouth: its place, its light, and the portrait's own teeth."""

import numpy as np
import pytest

from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.render.mouth_interior import (
    LAYER_HALF_SIZE,
    LAYER_NAMES,
    MouthInterior,
    MouthLight,
    MouthTexture,
)

WHITE = MouthLight(white=as_float32([255, 255, 255]), slope=0.0)
STRAIGHT = as_float32(np.stack([np.linspace(-LAYER_HALF_SIZE[0], LAYER_HALF_SIZE[0], 33)] * 2, -1))
UNIT = 200.0


def lit_layer(name: str, light: MouthLight = WHITE, turned: Array = STRAIGHT) -> MouthTexture:
    return MouthTexture.from_asset(name, light, turned, UNIT, 0.6)


def column(layer: MouthTexture, u: float, v: Array) -> Array:
    """The layer along a line down the mouth, [n, 4]."""
    return layer.sample(as_float32(np.full_like(v, u))[:, None], v[:, None])[:, 0]


def filled_range(layer: MouthTexture) -> tuple[float, float]:
    """First and last column with teeth, interocular units."""
    filled = np.flatnonzero(layer.rgba[..., 3].max(0) > 0.5)
    middle = (layer.rgba.shape[1] - 1) / 2
    return (filled[0] - middle) / layer.texels_per_unit, (filled[-1] - middle) / layer.texels_per_unit


@pytest.mark.parametrize("name", LAYER_NAMES)
def test_layers_have_their_declared_size(name: str) -> None:
    height, across = lit_layer(name).rgba.shape[:2]
    assert (across / UNIT, height / UNIT) == pytest.approx(
        (2 * LAYER_HALF_SIZE[0], 2 * LAYER_HALF_SIZE[1]), abs=0.01
    )


@pytest.mark.parametrize(("name", "side"), [("upper", -1), ("lower", 1)])
def test_front_teeth_end_at_the_biting_edge(name: str, side: int) -> None:
    inside, outside = column(lit_layer(name), 0.03, as_float32([0.03 * side, -0.03 * side]))[:, 3]
    assert inside > 0.95
    assert outside < 0.05


def test_light_from_teeth_gives_teeth_their_colour() -> None:
    expected = as_float32([180, 160, 130])
    layer = lit_layer("upper", MouthLight.from_teeth(expected, 0.0))
    at = np.meshgrid(np.linspace(-0.12, 0.12, 40), np.linspace(-0.08, -0.02, 9))
    rgba = layer.sample(as_float32(at[0]), as_float32(at[1]))
    assert rgba[..., :3].sum((0, 1)) / rgba[..., 3].sum() == pytest.approx(expected, rel=0.06)


def test_light_from_the_right_is_brighter_there() -> None:
    lit = lit_layer("upper", MouthLight(white=WHITE.white, slope=0.5))
    left, right = (column(lit, u, as_float32([-0.05]))[0, 0] for u in (-0.2, 0.2))
    assert right > 1.15 * left


def test_a_turned_head_shows_less_of_the_far_side() -> None:
    half = np.linspace(-LAYER_HALF_SIZE[0], LAYER_HALF_SIZE[0], 65)
    seen = np.where(half < 0, 0.5 * half, 0.9 * half)
    left, right = filled_range(lit_layer("upper", turned=as_float32(np.stack([seen, half], -1))))
    straight_left, straight_right = filled_range(lit_layer("upper"))
    assert left == pytest.approx(0.5 * straight_left, abs=0.02)
    assert right == pytest.approx(0.9 * straight_right, abs=0.02)


def test_layers_of_a_blurred_picture_are_blurred() -> None:
    sharp, soft = (MouthTexture.from_asset("upper", WHITE, STRAIGHT, UNIT, blur).rgba for blur in (0.6, 3.0))
    steps = [float(np.abs(np.diff(layer[..., 3], axis=0)).max()) for layer in (sharp, soft)]
    assert steps[1] < 0.5 * steps[0]


def test_lower_teeth_move_with_the_jaw_and_upper_ones_do_not() -> None:
    upper, lower, tongue = (lit_layer(name) for name in LAYER_NAMES)
    mouth = MouthInterior(
        light=WHITE,
        upper=upper,
        lower=lower,
        tongue=tongue,
        portrait_teeth=None,
        upper_edge=0.0,
        lower_edge=0.0,
        half_width=0.4,
    )
    v = np.linspace(-0.1, 0.25, 71)
    local = as_float32(np.dstack(np.meshgrid([0.03], v)))
    pictures = [
        mouth.render(local, local, jaw, 0.0, np.ones(local.shape[:2], np.float32)) for jaw in (0.05, 0.15)
    ]
    bright = [picture[:, 0].mean(-1) > 130 for picture in pictures]
    low = [v[lit & (v > 0.02)].min() for lit in bright]
    assert low == pytest.approx([0.05, 0.15], abs=0.015)
    assert (bright[0] & bright[1])[(v > -0.08) & (v < -0.02)].all()

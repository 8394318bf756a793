"""Colours come out of the file as they went in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.video.color import rgb_to_yuv420

COLOURS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
    (128, 128, 128),
    (224, 172, 150),
]


def test_the_primaries_have_their_standard_values() -> None:
    """Limited-range 8-bit BT.709, as test charts have it."""
    expected = {(255, 0, 0): (63, 102, 240), (0, 255, 0): (173, 42, 26), (0, 0, 255): (32, 240, 118)}
    for colour, yuv in expected.items():
        planes = rgb_to_yuv420(np.full((4, 4, 3), colour, np.uint8))
        assert np.abs(np.array([planes[0, 0], planes[4, 0], planes[5, 0]]).astype(int) - yuv).max() <= 1


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_any_colour_comes_back(colour: tuple[int, int, int]) -> None:
    luma, blue, red = (
        float(value) for value in rgb_to_yuv420(np.full((4, 4, 3), colour, np.uint8))[[0, 4, 5], 0]
    )
    y, cb, cr = (luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224
    decoded = [y + 1.5748 * cr, y - 0.1873 * cb - 0.4681 * cr, y + 1.8556 * cb]
    assert np.abs(255 * np.array(decoded) - colour).max() <= 2


@pytest.mark.parametrize("size", [(2, 2), (4, 6), (64, 34), (512, 512)])
def test_planes_have_their_places_and_values(size: tuple[int, int]) -> None:
    height, width = size
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    r, g, b = np.moveaxis(rgb / 255, 2, 0)
    luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
    chroma = np.stack([(b - luma) / 1.8556, (r - luma) / 1.5748])
    small = chroma.reshape(2, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    planes = rgb_to_yuv420(rgb).astype(np.float64)
    assert np.abs(planes[:height] - (16 + 219 * luma)).max() <= 0.65
    assert np.abs(planes[height:].ravel() - (128 + 224 * small).ravel()).max() <= 1.1

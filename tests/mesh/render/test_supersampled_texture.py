"""The enlarged portrait: exact at whole pixels, accurate between them, premultiplied by the matte."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture

SIDE = 48


def pixel_grid(shift: tuple[float, float] = (0, 0), side: int = SIDE) -> Array:
    return as_float32(np.dstack(np.meshgrid(np.arange(side), np.arange(side))) + np.array(shift))


def sample_pattern(at: Array) -> Picture:
    """An analytic pattern, known between pixels too, with details of three pixels."""
    x, y = at[..., 0], at[..., 1]
    waves = np.sin(2 * np.pi * x / 3.1) + np.sin(2 * np.pi * y / 3.7) + np.sin(2 * np.pi * (x + y) / 11)
    return np.repeat(np.rint(128 + 30 * waves).astype(np.uint8)[..., None], 3, 2)


def constant_matte(share: int = 255) -> NDArray[np.uint8]:
    return np.full((SIDE, SIDE), share, np.uint8)


def test_whole_pixels_are_reproduced(portrait: Portrait) -> None:
    height, width = portrait.matte.shape
    sheet = SupersampledTexture.from_person(portrait.rgb, np.full_like(portrait.matte, 255))
    at = as_float32(np.dstack(np.meshgrid(np.arange(width), np.arange(height))))
    assert np.array_equal(sheet.sample(sheet.scale * at)[..., :3], portrait.rgb)


@given(st.floats(0, 1), st.floats(0, 1))
def test_between_pixels_it_is_at_least_as_accurate_as_a_bicubic(across: float, down: float) -> None:
    at, inner = pixel_grid((across, down)), (slice(5, -5), slice(5, -5))
    sheet, truth = (
        SupersampledTexture.from_person(sample_pattern(pixel_grid()), constant_matte()),
        sample_pattern(at)[inner].astype(float),
    )
    cubic = cv2.remap(sample_pattern(pixel_grid()), at, None, cv2.INTER_CUBIC)[inner]  # type: ignore[call-overload]
    missed = np.square(sheet.sample(sheet.scale * at)[..., :3][inner] - truth).mean()
    assert missed < np.square(cubic - truth).mean() + 6


@pytest.mark.parametrize("share", [0, 100, 255])
def test_colour_is_premultiplied_by_the_matte(share: int) -> None:
    sheet = SupersampledTexture.from_person(sample_pattern(pixel_grid()), constant_matte(share))
    rgba = sheet.sample(sheet.scale * pixel_grid())
    assert (rgba[..., 3] == share).all()
    assert np.abs(rgba[..., :3] - sample_pattern(pixel_grid()) * (share / 255)).max() <= 1


def test_a_silhouette_does_not_ring() -> None:
    matte = constant_matte(0)
    matte[:, 20:] = 255
    sheet = SupersampledTexture.from_person(np.full((SIDE, SIDE, 3), 200, np.uint8), matte)
    edge = sheet.rgba[SIDE]
    assert (np.diff(edge[:, 3].astype(int)) >= 0).all()
    assert edge[:, :3].max() == 200


def test_edges_are_repeated_outside() -> None:
    sheet = SupersampledTexture.from_person(sample_pattern(pixel_grid()), constant_matte())
    far = sheet.sample(as_float32([[[-50.0, 20.0], [4 * SIDE, 20.0]]]))[0, :, 0]
    assert far.tolist() == sheet.rgba[20, [0, -1], 0].tolist()

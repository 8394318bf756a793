"""Fitting a portrait into a frame."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveavatar.errors import OptionError
from liveavatar.face.crop import check_frame_size, crop_portrait, parse_size
from liveavatar.face.portrait import Portrait

even = st.integers(40, 150).map(lambda half: 2 * half)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(even, even)
def test_any_frame_is_filled_and_holds_the_face(portrait: Portrait, width: int, height: int) -> None:
    fitted = crop_portrait(portrait, (width, height))
    assert fitted.rgb.shape == (height, width, 3)
    assert fitted.matte.shape == (height, width)
    middle = fitted.landmarks[:468, :2].mean(0)
    assert 0 < middle[0] < width
    assert 0 < middle[1] < height


def test_landmarks_are_scaled_as_the_pixels_are(portrait: Portrait) -> None:
    """A lone bright pixel put on a landmark must still lie on it when the picture is enlarged."""
    small = crop_portrait(portrait, (160, 192))
    x, y = (int(value) for value in small.landmarks[1, :2])
    dark = np.zeros_like(small.rgb)
    dark[y, x] = 255
    landmarks = small.landmarks.copy()
    landmarks[1, :2] = x, y
    large = crop_portrait(replace(small, rgb=dark, landmarks=landmarks), (480, 576))
    rows, columns = np.nonzero(large.rgb[..., 0] > 100)
    np.testing.assert_allclose(large.landmarks[1, :2], [columns.mean(), rows.mean()], atol=0.01)


def test_auto_drops_an_odd_row_and_column(portrait: Portrait) -> None:
    odd = crop_portrait(portrait, (150, 190))
    cut = crop_portrait(
        Portrait(
            rgb=odd.rgb[:-1, :-1],
            landmarks=odd.landmarks,
            matte=odd.matte[:-1, :-1],
            face_count=1,
            trust=odd.trust,
        ),
        None,
    )
    assert cut.rgb.shape == (188, 148, 3)


@pytest.mark.parametrize(
    ("text", "size"), [("auto", None), ("704x384", (704, 384)), ("704*384", (704, 384)), ("64X64", (64, 64))]
)
def test_valid_sizes(text: str, size: tuple[int, int] | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "512", "511x512", "0x0", "-64x64", "9999x64", "1x2x3"])
def test_invalid_sizes(text: str) -> None:
    with pytest.raises(OptionError, match="even WIDTHxHEIGHT"):
        parse_size(text)


@pytest.mark.parametrize(
    ("given", "size"),
    [(None, None), ((512, 384), (512, 384)), ([64, 4096], (64, 4096)), (np.array([512, 384]), (512, 384)),
     ("704x384", (704, 384)), ("auto", None)],
)  # fmt: skip
def test_sizes_of_the_library(given: object, size: tuple[int, int] | None) -> None:
    assert check_frame_size(given) == size


@pytest.mark.parametrize("size", [(0, 0), (100_000, 100_000), (-64, 64), (512, 511), "0x0", "100000x100000"])
def test_sizes_that_no_video_has(size: object) -> None:
    with pytest.raises(OptionError, match="must have even sides of 64…4096; use auto"):
        check_frame_size(size)


@pytest.mark.parametrize(
    "size", [512, 512.0, (512.0, 512.0), (512,), (512, 512, 3), ("512", "512"), (), {}, b"", object(), True]
)
def test_what_is_no_size(size: object) -> None:
    with pytest.raises(OptionError, match="is not a pair of whole numbers; use \\(width, height\\)"):
        check_frame_size(size)


def test_a_long_wrong_size_is_shortened() -> None:
    with pytest.raises(OptionError) as caught:
        parse_size("x" * 10_000)
    assert len(caught.value.problem) < 100

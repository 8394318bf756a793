"""Fitting a portrait into a frame."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveavatar.errors import OptionError
from liveavatar.face.crop import fit, parse_size
from liveavatar.face.portrait import Portrait

even = st.integers(40, 150).map(lambda half: 2 * half)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(even, even)
def test_any_frame_is_filled_and_holds_the_face(portrait: Portrait, width: int, height: int) -> None:
    fitted = fit(portrait, (width, height))
    assert fitted.rgb.shape == (height, width, 3)
    assert fitted.matte.shape == (height, width)
    middle = fitted.landmarks[:468, :2].mean(0)
    assert 0 < middle[0] < width
    assert 0 < middle[1] < height


def test_landmarks_stay_on_the_same_feature(portrait: Portrait) -> None:
    double = fit(portrait, (320, 384))
    for point in (1, 33, 263, 61, 291):
        x, y = np.rint(portrait.landmarks[point, :2]).astype(int)
        there = np.rint(double.landmarks[point, :2]).astype(int)
        here = portrait.rgb[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))
        same = double.rgb[there[1] - 2 : there[1] + 3, there[0] - 2 : there[0] + 3].mean((0, 1))
        assert np.abs(here - same).max() < 25


def test_auto_drops_an_odd_row_and_column(portrait: Portrait) -> None:
    odd = fit(portrait, (150, 190))
    cut = fit(
        Portrait(
            rgb=odd.rgb[:-1, :-1],
            landmarks=odd.landmarks,
            matte=odd.matte[:-1, :-1],
            faces=1,
            trust=odd.trust,
        ),
        None,
    )
    assert cut.rgb.shape == (188, 148, 3)


@pytest.mark.parametrize(
    ("text", "size"), [("auto", None), ("704x384", (704, 384)), ("704*384", (704, 384)), ("64X64", (64, 64))]
)
def test_sizes_people_write(text: str, size: tuple[int, int] | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "512", "511x512", "0x0", "-64x64", "9999x64", "1x2x3"])
def test_sizes_nobody_can_use(text: str) -> None:
    with pytest.raises(OptionError, match="even WIDTHxHEIGHT"):
        parse_size(text)

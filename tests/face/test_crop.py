"""Fitting a portrait into a frame."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveavatar.errors import OptionError, PortraitError
from liveavatar.face.crop import (
    check_frame_size,
    choose_crop_window,
    cover_frame,
    crop_portrait,
    judge_enlargement,
    parse_size,
)
from liveavatar.face.portrait import Portrait

even = st.integers(40, 150).map(lambda half: 2 * half)


def draw_person(
    picture: tuple[int, int], face: tuple[float, float, float], hair: float = 0.4, shoulders: float = 1.2
) -> Portrait:
    """A drawn person in a picture of `picture` (width, height): the landmarks of an ellipse, and a matte.

    `face` is its middle and its height in pixels, `hair` and `shoulders` are in face heights.
    """
    x, y, height = face
    angles = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:468, 0] = x + 0.36 * height * np.cos(angles)
    landmarks[:468, 1] = y + 0.5 * height * np.sin(angles)
    landmarks[468:, :2] = x, y
    rows, columns = np.mgrid[: picture[1], : picture[0]]
    reach = 0.5 + hair
    person = ((columns - x) / (0.6 * height)) ** 2 + ((rows - y) / (reach * height)) ** 2 < 1
    person |= (np.abs(columns - x) < shoulders * height) & (rows > y + 0.7 * height)
    rgb = np.dstack([columns % 256, rows % 256, 0 * rows]).astype(np.uint8)
    return Portrait(rgb=rgb, landmarks=landmarks, matte=(255 * person).astype(np.uint8), face_count=1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(even, even)
def test_any_frame_is_filled_and_holds_the_face(portrait: Portrait, width: int, height: int) -> None:
    for fitted in (crop_portrait(portrait, (width, height)), cover_frame(portrait, (width, height))):
        assert fitted.rgb.shape == (height, width, 3)
        assert fitted.matte.shape == (height, width)
        middle = fitted.landmarks[:468, :2].mean(0)
        assert 0 < middle[0] < width
        assert 0 < middle[1] < height


@settings(max_examples=60, deadline=None)
@given(
    even,
    even,
    st.floats(0.15, 0.85),
    st.floats(0.15, 0.85),
    st.integers(12, 120),
    st.floats(0, 0.8),
)
def test_a_face_has_its_share_of_the_frame_and_keeps_its_hair(
    width: int, height: int, across: float, down: float, face: int, hair: float
) -> None:
    size, picture = (width, height), (400, 300)
    portrait = draw_person(picture, (across * picture[0], down * picture[1], face), hair)
    fitted = crop_portrait(portrait, size)
    top, bottom = np.percentile(fitted.landmarks[:468, 1], (0, 100))
    share = (bottom - top) / height
    allowed = min(picture[1], picture[0] * height / width)  # pixels of the picture
    rounding = 2 / allowed * share + 2 * share / min(face, allowed)
    assert share > 0.35 - rounding
    if face / 0.5 <= allowed:
        assert share < 0.5 + rounding
    if face / 0.35 <= allowed:
        is_cut = portrait.matte[0].any()
        assert is_cut or not fitted.matte[0].any()


@pytest.mark.parametrize("size", [(512, 512), (288, 512), (896, 504), (64, 128)])
def test_a_small_face_in_a_large_picture_is_cut_out(size: tuple[int, int]) -> None:
    portrait = draw_person((1800, 1200), (300, 400, 150))
    window = choose_crop_window(portrait, size)
    assert 0.35 <= 150 / window.height <= 0.5
    assert window.scale == pytest.approx(size[1] / window.height, rel=0.01)
    assert window.width / window.height == pytest.approx(size[0] / size[1], rel=0.01)


def test_a_face_that_would_be_too_small_is_refused_with_a_size_that_works(portrait: Portrait) -> None:
    with pytest.raises(PortraitError, match=r"only \d\d pixels high; use --size \d+x\d+ or larger") as caught:
        choose_crop_window(portrait, (64, 64))
    size = parse_size(caught.value.remedy.split()[2])
    assert size is not None
    assert choose_crop_window(portrait, size).face_pixels >= 40


@pytest.mark.parametrize(
    ("size", "level", "words"),
    [
        ((512, 512), "warn", "enlarged 2.2 times; the face is 215 pixels high in a video of 512x512"),
        ((256, 256), "ok", "enlarged 1.1 times"),
        ((238, 238), "ok", "neither enlarged nor shrunk"),
        ((120, 120), "ok", "shrunk to 50%"),
    ],
)
def test_the_scale_is_said(size: tuple[int, int], level: str, words: str) -> None:
    finding = judge_enlargement(choose_crop_window(draw_person((900, 900), (450, 400, 100)), size), size)
    assert finding.level == level
    assert words in finding.sentence
    assert (finding.remedy != "") == (level == "warn")


def test_landmarks_are_scaled_as_the_pixels_are(portrait: Portrait) -> None:
    """A lone bright pixel put on a landmark must still lie on it when the picture is enlarged."""
    small = cover_frame(portrait, (160, 192))
    x, y = (int(value) for value in small.landmarks[1, :2])
    dark = np.zeros_like(small.rgb)
    dark[y, x] = 255
    landmarks = small.landmarks.copy()
    landmarks[1, :2] = x, y
    large = cover_frame(replace(small, rgb=dark, landmarks=landmarks), (480, 576))
    rows, columns = np.nonzero(large.rgb[..., 0] > 100)
    np.testing.assert_allclose(large.landmarks[1, :2], [columns.mean(), rows.mean()], atol=0.01)


def test_auto_drops_an_odd_row_and_column(portrait: Portrait) -> None:
    odd = cover_frame(portrait, (150, 190))
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

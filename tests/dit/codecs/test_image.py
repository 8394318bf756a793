import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.dit.codecs.image import SIDE_DIVISOR, fit_frame_size, frame_portrait, resize_bilinear
from liveavatar.errors import OptionError, PortraitError
from liveavatar.frames import Picture

SIZES = json.loads((Path(__file__).parents[2] / "golden" / "size_table.json").read_text())
PREPARED = [
    ((540, 960), (384, 704), "0403e01d105e739d", 22, 0),
    ((960, 540), (704, 384), "bc7b76bdc4604abe", 0, 22),
    ((300, 300), (512, 512), "3ba479c6ade4c543", 0, 0),
    ((640, 480), (640, 448), "eedd62548ce22800", 0, 43),
    ((200, 300), (448, 640), "86c04f6663ee5ca2", 0, 0),
]
"""Sizes of the picture and of the frame; SHA-256, black rows and black columns of what torchvision 0.28 makes of it."""


def pattern(width: int, height: int) -> Picture:
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    checks = (x // 7 + y // 11) % 2 * 255
    channels = np.broadcast_arrays(x * 255 // (width - 1), y * 255 // (height - 1), checks)
    return np.stack(channels, axis=-1).astype(np.uint8)


def pixels(picture: Picture, size: tuple[int, int], bars: bool) -> Picture:
    prepared = frame_portrait(picture, size, black_bars=bars).permute(1, 2, 0).numpy()
    return np.round((prepared + 1) / 2 * 255).astype(np.uint8)


@pytest.mark.parametrize(("area", "height", "width", "down", "across", "tokens"), SIZES)
def test_frames_have_the_sizes_of_the_reference(
    area: str, height: int, width: int, down: int, across: int, tokens: int
) -> None:
    a, b = area.split("*")
    assert fit_frame_size((width, height), int(a) * int(b)) == (across, down)
    assert across * down // 256 == tokens


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(64 * 640, 1280 * 720))
@settings(max_examples=300)
def test_every_frame_is_of_whole_patches_within_the_area(width: int, height: int, area: int) -> None:
    try:
        across, down = fit_frame_size((width, height), area)
    except OptionError:
        assert max(width, height) > 8 * min(width, height)  # slimmer than the area holds
        return
    assert across % SIDE_DIVISOR == down % SIDE_DIVISOR == 0
    assert 0 < across * down <= area


def test_an_area_too_small_for_any_frame_is_refused() -> None:
    with pytest.raises(OptionError, match="larger --size"):
        fit_frame_size((5000, 10), 64 * 64)


@pytest.mark.parametrize(("size", "frame", "digest", "rows", "columns"), PREPARED)
def test_with_bars_equals_the_reference(
    size: tuple[int, int], frame: tuple[int, int], digest: str, rows: int, columns: int
) -> None:
    framed = pixels(pattern(*size), frame, bars=True)
    assert hashlib.sha256(framed.tobytes()).hexdigest()[:16] == digest
    assert int((framed.max(axis=(1, 2)) == 0).sum()) == rows
    assert int((framed.max(axis=(0, 2)) == 0).sum()) == columns


@given(st.integers(1, 200), st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_a_covered_frame_has_no_bars(width: int, height: int) -> None:
    framed = frame_portrait(np.full((height, width, 3), 255, np.uint8), (192, 64))
    assert framed.shape == (3, 64, 192)
    assert framed.min() == framed.max() == 1


@pytest.mark.parametrize(("size", "frame"), [(row[0], row[1]) for row in PREPARED])
def test_covering_keeps_the_middle_and_the_proportions(size: tuple[int, int], frame: tuple[int, int]) -> None:
    """The pattern's red runs with x and its green with y: their slopes tell the scale, their means the middle."""
    framed = pixels(pattern(*size), frame, bars=False).astype(float)
    scale = max(frame[0] / size[0], frame[1] / size[1])
    red, green = framed[:, :, 0].mean(axis=0), framed[:, :, 1].mean(axis=1)
    assert np.polyfit(np.arange(frame[0]), red, 1)[0] == pytest.approx(255 / size[0] / scale, rel=0.02)
    assert np.polyfit(np.arange(frame[1]), green, 1)[0] == pytest.approx(255 / size[1] / scale, rel=0.02)
    assert red.mean() == pytest.approx(127, abs=1.5)
    assert green.mean() == pytest.approx(127, abs=1.5)


def test_a_picture_of_the_frames_size_is_unchanged() -> None:
    picture = pattern(128, 64)
    for bars in (True, False):
        assert np.array_equal(pixels(picture, (128, 64), bars=bars), picture)


def test_resizing_keeps_a_flat_colour_and_the_ends_of_the_range() -> None:
    for value in (0, 1, 254, 255):
        assert (resize_bilinear(np.full((50, 70, 3), value, np.uint8), (33, 91)) == value).all()


def test_reduction_averages() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    reduced = resize_bilinear(np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8), (8, 8)).astype(int)
    assert abs(reduced - 127).max() <= 2


@pytest.mark.parametrize("size", [(0, 64), (100, 64), (64, -64)])
def test_frames_of_partial_patches_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match="multiples of 64"):
        frame_portrait(pattern(10, 10), size)


def test_an_empty_portrait_is_refused() -> None:
    with pytest.raises(PortraitError, match="no pixels"):
        frame_portrait(np.zeros((0, 10, 3), np.uint8), (64, 64))

"""The mark is small, the same in every frame, and follows the key."""

import numpy as np
import pytest

from liveavatar.frames import Picture
from liveavatar.provenance.watermark import WatermarkEmbedder, measure_strengths
from liveavatar.provenance.watermark_pattern import DEFAULT_KEY, TEXTURE_SLOPE, WatermarkKey, draw_pattern

SIZE = (192, 128)


def draw_frame(level: int = 120) -> Picture:
    rng = np.random.default_rng(0)
    return np.asarray(rng.normal(level, 8, (SIZE[1], SIZE[0], 3)).clip(0, 255), np.uint8)


@pytest.mark.parametrize("level", [0, 20, 128, 255])
def test_the_mark_is_40_decibels_below_the_picture(level: int) -> None:
    frame = draw_frame(level)
    marked = WatermarkEmbedder(SIZE).embed(frame)
    error = float(np.mean((marked.astype(float) - frame) ** 2))
    assert 10 * np.log10(255**2 / error) >= 40


def test_a_frame_is_not_changed_itself() -> None:
    frame = draw_frame()
    copy = frame.copy()
    marked = WatermarkEmbedder(SIZE).embed(frame)
    assert np.array_equal(frame, copy)
    assert not np.array_equal(marked, copy)


def test_every_frame_gets_the_same_steps() -> None:
    embedder = WatermarkEmbedder(SIZE)
    first, second = draw_frame(120), draw_frame(90)
    steps = embedder.embed(first).astype(int) - first
    assert np.array_equal(embedder.embed(second).astype(int) - second, steps)


def test_black_and_white_do_not_wrap_around() -> None:
    for level in (0, 255):
        flat = np.full((SIZE[1], SIZE[0], 3), level, np.uint8)
        marked = WatermarkEmbedder(SIZE).embed(flat)
        assert np.abs(marked.astype(int) - level).max() <= 10


def test_grey_stays_grey() -> None:
    flat = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    marked = WatermarkEmbedder(SIZE).embed(flat)
    assert np.array_equal(marked[..., 0], marked[..., 1])
    assert np.array_equal(marked[..., 0], marked[..., 2])


def test_the_mark_is_weaker_on_dark_and_stronger_on_textured_ground() -> None:
    frame = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    frame[:, :64] = 10
    frame[:, 128:] = np.random.default_rng(0).integers(60, 200, (SIZE[1], 64, 3), np.uint8)
    strength = np.sum(measure_strengths(frame), axis=0)
    dark, flat, textured = (strength[:, column].mean() for column in (20, 96, 170))
    assert dark < flat < textured


def test_patterns_of_two_keys_are_unrelated() -> None:
    one, other = (
        draw_pattern((256, 256), key, TEXTURE_SLOPE) for key in (DEFAULT_KEY, WatermarkKey(b"other"))
    )
    assert np.mean(one**2) == pytest.approx(1, abs=1e-3)
    assert abs(float(np.mean(one * other))) < 0.05


def test_the_pattern_of_the_public_key_never_changes() -> None:
    """Videos that were marked before must be found."""
    corner = draw_pattern((512, 512), DEFAULT_KEY, TEXTURE_SLOPE)[:2, :3]
    assert corner == pytest.approx(
        np.array([[-0.5265, -0.2593, 0.1373], [-0.8144, -0.4241, 0.1115]]), abs=1e-3
    )

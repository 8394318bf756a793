"""Windowed-sinc filters interpolate with unit gain."""

import numpy as np
import pytest

from liveavatar.audio.dsp.kaiser_sinc import design_kaiser_sinc


def test_a_tap_on_the_point_returns_the_sample() -> None:
    offsets = np.arange(-7, 9, dtype=np.float64)[None]
    assert np.allclose(design_kaiser_sinc(offsets, 8, 6.0), np.eye(1, 16, 7), atol=1e-7)


@pytest.mark.parametrize("position", [0.25, 0.5, 0.9])
def test_a_slow_tone_is_interpolated(position: float) -> None:
    offsets = (np.arange(-7, 9, dtype=np.float64) - position)[None]
    filters = design_kaiser_sinc(offsets, 8, 6.0)
    tone = np.cos(0.3 * np.arange(-7, 9))
    assert filters.dtype == np.float32
    assert abs(float(filters.sum()) - 1) < 1e-6
    assert abs(float(filters[0] @ tone) - np.cos(0.3 * position)) < 1e-3

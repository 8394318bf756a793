"""Flat tops count at any level, round tops and silence do not."""

import numpy as np
import pytest

from audio.sounds import babble, noise, sine
from liveavatar.audio.analysis.clipping import count_clipped_samples


@pytest.mark.parametrize("ceiling", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_flat_tops_are_counted(ceiling: float, rate: int) -> None:
    voice = babble(rate, 2, level=0.5)[:, 0]
    cut = np.clip(voice, -0.6, 0.6) * np.float32(ceiling)
    flat = int((np.abs(voice) > 0.6).sum())
    assert 0.7 * flat < count_clipped_samples(cut) <= 1.3 * flat


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000, 192_000])
@pytest.mark.parametrize("pitch", [20, 50, 110, 400])
def test_round_tops_are_not_counted(rate: int, pitch: int) -> None:
    tone = sine(rate, 1, pitch, 0.99)[:, 0]
    assert count_clipped_samples(tone) == 0
    assert count_clipped_samples((np.round(tone * 32_767) / 32_768).astype(np.float32)) == 0


def test_speech_noise_and_silence_are_not_counted() -> None:
    for sound in (babble(16_000, 2, level=0.2), noise(16_000, 2), np.zeros((16_000, 1), np.float32)):
        assert count_clipped_samples(sound[:, 0]) == 0


def test_a_constant_is_not_counted() -> None:
    assert count_clipped_samples(np.full(1_000, 0.5, np.float32)) == 0


@pytest.mark.parametrize("count", range(8))
def test_very_short_sounds_are_accepted(count: int) -> None:
    assert count_clipped_samples(np.ones(count, np.float32)) == 0

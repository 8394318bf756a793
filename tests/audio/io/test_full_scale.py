"""Integers stored as floats are told from floats up to 1, hot or damaged ones included."""

import numpy as np
import pytest

from audio.sounds import babble, noise
from liveavatar.audio.io.full_scale import FullScaleMeter


def measure(samples: np.ndarray) -> float:
    meter = FullScaleMeter()
    for start in range(0, len(samples), 10_000):
        meter.push(samples[start : start + 10_000].astype(np.float32))
    return meter.finish()


@pytest.mark.parametrize("scale", [1.0, 2.0**15, 2.0**23, 2.0**31])
@pytest.mark.parametrize("level", [0.01, 0.1, 0.3])
def test_the_scale_of_speech_is_found(scale: float, level: float) -> None:
    assert measure(scale * babble(16_000, 3, level)) == scale


@pytest.mark.parametrize("gain", [1, 4, 10, 30])
def test_hot_floats_stay_floats(gain: float) -> None:
    assert measure(gain * noise(16_000, 2, level=0.3)) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, 32_768.0])
def test_damaged_samples_are_no_other_scale(value: float) -> None:
    sound = noise(16_000, 2)
    sound[::4_000] = value
    assert measure(sound) == 1


def test_silence_and_nothing_have_the_scale_of_floats() -> None:
    assert measure(np.zeros((16_000, 1))) == measure(np.zeros((0, 1))) == 1


def test_dithered_pauses_do_not_hide_the_scale() -> None:
    speech = 2.0**15 * babble(16_000, 1, 0.1)
    pause = np.sign(noise(16_000, 4))
    assert measure(np.concatenate([pause, speech])) == 2.0**15

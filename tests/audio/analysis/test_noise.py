"""Noise, silence and reverberation are measured as they were added."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.audio.analysis.noise import Background, BackgroundMeter
from liveavatar.frames import Samples


def measure_background(sound: Samples) -> Background:
    meter = BackgroundMeter()
    meter.push(sound.astype(np.float32))
    return meter.finish()


def with_reverberation(sound: Samples, seconds: float, seed: int = 0) -> Samples:
    """Speech in a room: reverberation that falls by 60 dB in `seconds`, as loud as the direct sound."""
    time = np.arange(int(1.2 * seconds * 16_000)) / 16_000
    room = np.random.default_rng(seed).standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    room[:48] = 0
    room /= np.sqrt(np.square(room).sum())
    room[0] = 1
    size = len(sound) + len(room)
    reverberant = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(room, size), size)
    return reverberant[: len(sound)].astype(np.float32)


@pytest.mark.parametrize("snr", [5, 15, 25])
def test_noise_is_measured(speech: Samples, snr: float) -> None:
    noise = 0.1 * 10 ** (-snr / 20) * np.random.default_rng(0).standard_normal(len(speech))
    found = measure_background(speech + noise.astype(np.float32))
    assert found.noise_level is not None
    assert found.snr is not None
    assert abs(found.noise_level - (-20 - snr)) < 1.5
    assert abs(found.snr - snr) < 6


def test_clear_speech_has_little_noise_and_reverberation(speech: Samples) -> None:
    found = measure_background(speech)
    assert found.snr is not None
    assert found.reverberation_time is not None
    assert found.snr > 45
    assert found.reverberation_time < 0.2


@pytest.mark.parametrize("seconds", [0.3, 0.4, 0.6])
def test_reverberation_is_measured(speech: Samples, seconds: float) -> None:
    clear, found = (
        measure_background(speech).reverberation_time,
        measure_background(with_reverberation(speech, seconds)).reverberation_time,
    )
    assert clear is not None
    assert found is not None
    assert found > 1.5 * clear


@pytest.mark.parametrize("at", [0, 4, 9])
def test_the_longest_silence_is_found(speech: Samples, at: int) -> None:
    sound = np.insert(speech, min(at * 16_000, len(speech)), np.zeros(48_000, np.float32))
    assert 3 <= measure_background(sound).longest_silence <= 3.8


def test_steady_sound_is_no_silence() -> None:
    noise = np.random.default_rng(0).standard_normal(160_000).astype(np.float32)
    assert measure_background(0.1 * noise).longest_silence == 0


def test_silence_has_no_levels() -> None:
    assert measure_background(np.zeros(16_000, np.float32)) == Background(
        noise_level=None, speech_level=None, longest_silence=1, reverberation_time=None
    )
    assert measure_background(np.full(80_000, 0.5, np.float32)).noise_level is None, "an offset is no sound"


@given(cuts=st.lists(st.integers(0, 40_000), max_size=8))
def test_any_chunking_gives_the_same(speech: Samples, cuts: list[int]) -> None:
    meter = BackgroundMeter()
    for piece in np.split(speech[:40_000], sorted(cuts)):
        meter.push(piece)
    assert meter.finish() == measure_background(speech[:40_000])

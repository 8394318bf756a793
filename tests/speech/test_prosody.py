import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.speech import prosody


def voice(hertz: float, seconds: float = 0.5) -> NDArray[np.float32]:
    time = np.arange(round(seconds * 16_000)) / 16_000
    harmonics = [np.sin(2 * np.pi * n * hertz * time + n) / n for n in range(1, 12)]
    return np.asarray(0.1 * np.sum(harmonics, axis=0), np.float32)


def cut_windows(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return sliding_window_view(samples, prosody.PITCH_WINDOW_SAMPLES)[::160]


def steady(value: float, count: int) -> NDArray[np.float32]:
    return np.full(count, value, np.float32)


@pytest.mark.parametrize("hertz", [70, 95, 130, 180, 250, 330, 400])
def test_pitch_is_found_within_a_quarter_of_a_semitone(hertz: float) -> None:
    found = prosody.find_pitch(cut_windows(voice(hertz)))
    assert float(np.abs(12 * np.log2(found / hertz)).max()) < 0.25


def test_pitch_is_found_in_noise_at_10_decibels() -> None:
    clean = voice(140)
    noise = np.random.default_rng(0).normal(0, clean.std() * 10 ** (-10 / 20), len(clean))
    found = prosody.find_pitch(cut_windows(np.asarray(clean + noise, np.float32)))
    assert np.mean(np.abs(12 * np.log2(np.maximum(found, 1) / 140)) < 0.5) > 0.9


def test_noise_and_silence_have_no_pitch() -> None:
    hiss = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert np.mean(prosody.find_pitch(cut_windows(hiss)) > 0) < 0.05
    assert not prosody.find_pitch(cut_windows(np.zeros(16_000, np.float32))).any()


def test_a_steady_voice_is_at_its_own_median() -> None:
    tracker = prosody.ProsodyTracker()
    found = tracker.track_prosody(steady(150, 300), steady(-20, 300), steady(-20, 300))
    assert float(np.abs(found.pitch).max()) < 0.6
    assert found.energy.min() == 1.0


def test_a_leap_upwards_is_positive_and_stressed() -> None:
    tracker = prosody.ProsodyTracker()
    tracker.track_prosody(steady(120, 400), steady(-26, 400), steady(-20, 400))
    leap = tracker.track_prosody(steady(180, 30), steady(-20, 30), steady(-20, 30))
    assert leap.pitch[-1] == pytest.approx(7.0, abs=0.6)
    assert leap.emphasis[-1] > 0.6
    assert np.all(np.diff(leap.emphasis[:20]) > 0)


def test_stress_fades_in_a_pause() -> None:
    tracker = prosody.ProsodyTracker()
    tracker.track_prosody(steady(120, 300), steady(-26, 300), steady(-20, 300))
    tracker.track_prosody(steady(200, 30), steady(-20, 30), steady(-20, 30))
    pause = tracker.track_prosody(steady(0, 150), steady(-80, 150), steady(-20, 150))
    assert pause.emphasis[-1] < 0.05
    assert not pause.pitch.any()
    assert not pause.energy.any()

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.audio.spectral.filter_bank import hertz_to_htk_mel
from liveavatar.speech import features


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)


def compute_relative_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    mel = features.compute_log_mel(features.extract_windows(samples))
    return features.to_relative_mel(
        mel, features.LevelReference().track_levels(features.mel_to_loudness(mel))
    )


@pytest.mark.parametrize("step", [0, 1, 7, 49])
def test_an_impulse_is_loudest_at_its_own_step(step: int) -> None:
    samples = np.zeros(8000, np.float32)
    samples[160 * step + 80] = 1.0
    assert (
        features.mel_to_loudness(features.compute_log_mel(features.extract_windows(samples))).argmax() == step
    )


@pytest.mark.parametrize(("samples", "steps"), [(0, 0), (1, 1), (160, 1), (161, 2), (1600, 10)])
def test_every_started_step_has_a_window(samples: int, steps: int) -> None:
    assert features.extract_windows(noise(1.0)[:samples]).shape == (steps, features.WINDOW_SAMPLES)


@pytest.mark.parametrize("hertz", [150, 440, 1000, 3000, 6000])
def test_a_tone_shows_in_its_band(hertz: int) -> None:
    tone = np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000).astype(np.float32)
    mel = features.compute_log_mel(features.extract_windows(tone))[50]
    edges = hertz_to_htk_mel(np.array([features.MEL_LOW_HERTZ, features.MEL_HIGH_HERTZ, hertz], np.float64))
    place = (edges[2] - edges[0]) / (edges[1] - edges[0]) * (features.MEL_BANDS + 1) - 1
    assert abs(int(mel.argmax()) - place) <= 1.0


@pytest.mark.parametrize("gain", [0.1, 0.3, 3.0])
def test_gain_does_not_matter_once_the_level_is_known(gain: float) -> None:
    samples = noise(8.0)
    difference = (
        compute_relative_mel(samples)[700:]
        - compute_relative_mel(np.asarray(samples * gain, np.float32))[700:]
    )
    assert float(np.abs(difference).max()) < 0.05


def test_noise_before_the_first_word_is_far_below_a_voice() -> None:
    samples = noise(1.0)
    before, voice = (compute_relative_mel(np.asarray(samples * gain, np.float32))[20] for gain in (0.02, 1.0))
    assert float(voice.mean() - before.mean()) > 1.0


def test_the_reference_rises_within_a_tenth_of_a_second_and_falls_slowly() -> None:
    reference = features.LevelReference()
    reference.track_levels(np.full(100, -80, np.float32))
    risen = reference.track_levels(np.full(10, -20, np.float32))
    fallen = reference.track_levels(np.full(100, -80, np.float32))
    assert risen[-1] > -24
    assert fallen[-1] == pytest.approx(risen[-1] - 100 * features.RELEASE_DB_PER_STEP, abs=1e-4)


def test_the_reference_never_falls_to_the_level_of_hiss() -> None:
    assert (
        features.LevelReference().track_levels(np.full(100_000, -90, np.float32)).min()
        == features.MIN_REFERENCE_DB
    )


@given(st.lists(st.integers(0, 40), max_size=5))
def test_the_noise_floor_does_not_depend_on_chunks(cuts: list[int]) -> None:
    rows, tracker = compute_relative_mel(noise(0.4)), features.NoiseFloorTracker()
    edges = [0, *sorted(cuts), len(rows)]
    chunks = [tracker.track_bands(rows[a:b]) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(chunks), features.NoiseFloorTracker().track_bands(rows))


def test_the_floor_is_the_noise_between_words_and_the_mean_the_words() -> None:
    words = np.repeat(np.tile([1.0, 0.0], 10), 3200)
    rows = compute_relative_mel(np.asarray(noise(4.0) * (0.01 + words), np.float32))
    floor_and_mean = features.NoiseFloorTracker().track_bands(rows)
    pauses = np.median(rows[np.repeat(np.tile([False, True], 10), 20)], axis=0)
    spoken = np.median(rows[np.repeat(np.tile([True, False], 10), 20)], axis=0)
    assert float(np.abs(floor_and_mean[-1, : features.MEL_BANDS] - pauses).mean()) < 0.15
    assert float(np.abs(floor_and_mean[-1, features.MEL_BANDS :] - spoken).mean()) < 0.15


def test_a_pause_does_not_change_the_mean() -> None:
    rows, tracker = compute_relative_mel(noise(2.0)), features.NoiseFloorTracker()
    before = tracker.track_bands(rows)[-1, features.MEL_BANDS :]
    quiet = np.full((3000, features.MEL_BANDS), -1.5, np.float32)
    np.testing.assert_allclose(tracker.track_bands(quiet)[-1, features.MEL_BANDS :], before, atol=1e-6)

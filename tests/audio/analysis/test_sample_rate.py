"""Wrong sample rates are detected from speech."""

from importlib import resources

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.audio.analysis.sample_rate import (
    LOG_SPEEDS,
    MAX_SEGMENT_COUNT,
    RATE_PRIORS,
    RateDetector,
    choose_rate,
    detect_rate,
    embed_rate_features,
    load_rate_weights,
    predict_speed_probabilities,
    wrong_rate_log_odds,
)
from liveavatar.audio.analysis.sample_rate_features import (
    FEATURE_COUNT,
    LAG_COUNT,
    LONGEST_LAG,
    SEGMENT_SAMPLES,
    SHORTEST_LAG,
    STEP_COUNT,
    extract_rate_features,
)
from liveavatar.audio.front_end import read_speech
from liveavatar.frames import Samples

DECLARED = 16_000


@pytest.fixture(scope="module", params=["en", "zh"])
def speech(request: pytest.FixtureRequest) -> Samples:
    """Two voices that the network is not trained on, 16 kHz."""
    asset = resources.files("liveavatar") / "assets" / f"demo_{request.param}.ogg"
    with resources.as_file(asset) as path:
        return np.concatenate(list(read_speech(path)[1]))


def play_at(speech: Samples, declared: int, true: int) -> Samples:
    """16 kHz sound taken at `true` and played at `declared`."""
    recorded = soxr.resample(speech, 16_000, true, "VHQ")
    return np.asarray(soxr.resample(recorded, declared, 16_000, "VHQ"), np.float32)


def make_peak(speed: float) -> Samples:
    """Speed probabilities with one peak."""
    bell = np.exp(-0.5 * ((LOG_SPEEDS - np.log(speed)) / 0.06) ** 2)
    return np.asarray(bell / bell.sum(), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("declared", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_a_right_rate_is_confirmed(speech: Samples, declared: int) -> None:
    guess = detect_rate(play_at(speech, declared, declared), declared)
    assert (guess.likely_rate, guess.ratio, guess.is_sure, guess.alternatives) == (declared, 1.0, False, ())
    assert guess.confidence > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("declared", "true"),
    [
        (16_000, 44_100),
        (16_000, 48_000),
        (44_100, 16_000),
        (48_000, 16_000),
        (16_000, 8_000),
        (8_000, 16_000),
    ],
)
def test_a_gross_error_is_detected_with_its_rate(speech: Samples, declared: int, true: int) -> None:
    guess = detect_rate(play_at(speech, declared, true), declared)
    assert guess.is_sure
    assert true in (guess.likely_rate, *guess.alternatives)
    assert guess.ratio == pytest.approx(true / declared, rel=0.1)
    assert 0.3 < guess.confidence <= 1.0


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, 3 * SEGMENT_SAMPLES), max_size=6))
def test_any_chunking_gives_the_same(cuts: list[int]) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 3 * SEGMENT_SAMPLES).astype(np.float32)
    sound *= np.sin(np.arange(len(sound)) / 900).astype(np.float32) ** 4
    detector = RateDetector(DECLARED)
    for piece in np.split(sound, sorted(cuts)):
        detector.push(piece)
    assert detector.finish() == detect_rate(sound, DECLARED)


@pytest.mark.slow
def test_a_detector_can_be_reused(speech: Samples) -> None:
    detector = RateDetector(DECLARED)
    detector.push(play_at(speech, DECLARED, 48_000))
    assert detector.finish().is_sure
    detector.push(speech)
    assert detector.finish() == detect_rate(speech, DECLARED)


@pytest.mark.parametrize(
    "sound",
    [np.zeros(0, np.float32), np.zeros(20 * DECLARED, np.float32), np.full(DECLARED // 2, 0.1, np.float32)],
    ids=["nothing", "silence", "half a second"],
)
def test_silence_confirms_the_rate_without_confidence(sound: Samples) -> None:
    guess = detect_rate(sound, DECLARED)
    assert (guess.likely_rate, guess.confidence, guess.is_sure) == (DECLARED, 0.0, False)


@pytest.mark.parametrize("seconds", [2, 20])
def test_noise_is_not_taken_for_a_wrong_rate(seconds: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, seconds * DECLARED).astype(np.float32)
    assert detect_rate(noise, DECLARED).likely_rate == DECLARED


@pytest.mark.slow
def test_sound_after_two_minutes_is_not_stored() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, SEGMENT_SAMPLES).astype(np.float32)
    detector = RateDetector(DECLARED)
    for _ in range(MAX_SEGMENT_COUNT):
        detector.push(noise)
    before = detector.finish()
    for _ in range(MAX_SEGMENT_COUNT):
        detector.push(noise)
    detector.push(np.ones(10 * SEGMENT_SAMPLES, np.float32))
    assert detector.finish() == before


def test_close_rates_are_alternatives() -> None:
    guess = choose_rate(make_peak(16_000 / 44_100), DECLARED, 4)
    assert (guess.likely_rate, guess.alternatives) == (44_100, (48_000,))
    assert guess.is_sure
    assert guess.ratio == 44_100 / DECLARED


def test_only_rates_in_use_are_proposed() -> None:
    for speed in (0.4, 0.7, 1.4, 2.5):
        assert choose_rate(make_peak(speed), DECLARED, 4).likely_rate in RATE_PRIORS
    assert choose_rate(make_peak(0.4), 96_000, 4).likely_rate == 96_000, "nothing is recorded at 240 kHz"


def test_44_and_48_khz_are_not_distinguished() -> None:
    assert choose_rate(make_peak(44_100 / 48_000), 44_100, 4).likely_rate == 44_100


def test_one_segment_needs_higher_odds_than_many() -> None:
    speeds = np.asarray(0.2 * make_peak(1.0) + 0.8 * make_peak(1.45), np.float32)
    assert 0.8 < wrong_rate_log_odds(speeds, DECLARED) < 1.8
    assert choose_rate(speeds, DECLARED, 1).likely_rate == DECLARED
    assert choose_rate(speeds, DECLARED, 15).likely_rate == 11_025


def test_odds_rise_with_the_error() -> None:
    odds = [wrong_rate_log_odds(make_peak(speed), DECLARED) for speed in (1.0, 1.1, 1.2, 1.38)]
    assert odds == sorted(odds)
    assert odds[0] < 0 < odds[-1]


def test_periodicity_peaks_at_the_pitch() -> None:
    lag = 100
    phase = 2 * np.pi * np.arange(SEGMENT_SAMPLES) / lag
    steps = extract_rate_features(
        np.sum([np.sin(n * phase) for n in range(1, 6)], axis=0).astype(np.float32) / 5
    )
    assert steps is not None
    assert steps.shape == (STEP_COUNT, FEATURE_COUNT)
    lags = np.geomspace(SHORTEST_LAG, LONGEST_LAG, LAG_COUNT)
    around = (lags > 0.55 * lag) & (lags < 1.8 * lag)  # its multiples are as good
    found = lags[around][np.argmax(steps[:, -LAG_COUNT:].mean(axis=0)[around])]
    assert found == pytest.approx(lag, rel=0.06)


def test_loudness_does_not_matter(speech: Samples) -> None:
    loud, quiet = (
        extract_rate_features(speech[:SEGMENT_SAMPLES]),
        extract_rate_features(speech[:SEGMENT_SAMPLES] * 0.1),
    )
    assert loud is not None
    assert quiet is not None
    np.testing.assert_allclose(loud, quiet, atol=0.05)


def test_probabilities_add_up(speech: Samples) -> None:
    steps = extract_rate_features(speech[:SEGMENT_SAMPLES])
    assert steps is not None
    speeds = predict_speed_probabilities(embed_rate_features(steps), 1)
    assert speeds.shape == LOG_SPEEDS.shape
    assert speeds.sum() == pytest.approx(1.0, abs=1e-5)
    assert speeds.min() >= 0.0


def test_the_weights_are_small() -> None:
    assert sum(weight.size for weight in load_rate_weights().values()) < 250_000

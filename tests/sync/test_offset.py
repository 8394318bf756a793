"""The line is found on tracks that were moved by a known one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.sync.offset import MAX_DRIFT, TRACK_RATE, align_tracks, band_pass_track, smooth_track

Track = NDArray[np.float64]


def syllables(seconds: float, seed: int) -> Track:
    """Something that opens and shuts about four times a second."""
    random = np.random.default_rng(seed)
    return np.abs(smooth_track(random.standard_normal(round(seconds * TRACK_RATE)), 21)) * 4


def heard_later(lips: Track, lag: float, slope: float = 0.0, noise: float = 0.5, seed: int = 1) -> Track:
    """The track whose value at t + lag + slope·t is the lips' at t, with other things mixed in."""
    time = np.arange(round(len(lips) * 1.1) + 200) / TRACK_RATE
    moved = np.interp((time - lag) / (1 + slope), np.arange(len(lips)) / TRACK_RATE, lips, left=0, right=0)
    return moved + noise * np.std(lips) * syllables(len(time) / TRACK_RATE, seed + 99)


@given(lag=st.floats(-0.4, 0.4), seed=st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_recovers_an_offset(lag: float, seed: int) -> None:
    lips = syllables(20, seed)
    found = align_tracks(
        band_pass_track(lips), np.ones(len(lips), bool), band_pass_track(heard_later(lips, lag))
    )
    assert found.offset == pytest.approx(lag, abs=0.01)
    assert found.match > 0.6


@given(slope=st.sampled_from([-0.05, -0.02, -0.005, 0.005, 0.01, 0.05]), lag=st.floats(-0.3, 0.3))
@settings(max_examples=15, deadline=None)
def test_recovers_a_drift(slope: float, lag: float) -> None:
    lips = syllables(60, 3)
    found = align_tracks(
        band_pass_track(lips), np.ones(len(lips), bool), band_pass_track(heard_later(lips, lag, slope))
    )
    assert found.line.slope == pytest.approx(slope, rel=0.05)
    assert found.line.lag_at_zero == pytest.approx(lag, abs=0.03)
    assert found.drift_interval.low <= found.line.slope <= found.drift_interval.high
    assert found.drift_interval.low * slope > 0


def test_a_drift_is_followed_for_as_long_as_it_takes() -> None:
    lips = syllables(400, 4)
    found = align_tracks(
        band_pass_track(lips), np.ones(len(lips), bool), band_pass_track(heard_later(lips, 0.1, 0.01))
    )
    assert found.line.slope == pytest.approx(0.01, rel=0.002)
    assert found.offset == pytest.approx(0.1 + 0.01 * found.middle, abs=0.01)


def test_steady_tracks_do_not_drift() -> None:
    lips = syllables(60, 5)
    found = align_tracks(
        band_pass_track(lips), np.ones(len(lips), bool), band_pass_track(heard_later(lips, 0.2))
    )
    assert abs(found.line.slope) < 1e-4
    assert found.drift_interval.low < 2e-5 < found.drift_interval.high + 1e-4


@pytest.mark.parametrize("seed", range(8))
def test_unrelated_tracks_match_little(seed: int) -> None:
    lips, other = syllables(20, seed), syllables(24, seed + 50)
    related = align_tracks(
        band_pass_track(lips), np.ones(len(lips), bool), band_pass_track(heard_later(lips, 0.1))
    )
    found = align_tracks(band_pass_track(lips), np.ones(len(lips), bool), band_pass_track(other))
    assert found.match < 0.35 < related.match


def test_times_without_a_face_do_not_count() -> None:
    lips = syllables(30, 6)
    sound = heard_later(lips, 0.12)
    seen = np.ones(len(lips), bool)
    seen[800:1700] = False
    blinded = np.where(seen, lips, 9.0)
    assert align_tracks(band_pass_track(lips), seen, band_pass_track(sound)).offset == pytest.approx(
        0.12, abs=0.01
    )
    assert align_tracks(band_pass_track(blinded), seen, band_pass_track(sound)).offset == pytest.approx(
        0.12, abs=0.02
    )


@pytest.mark.parametrize("constant", ["lips", "sound"])
def test_a_constant_track_leaves_offset_and_drift_open(constant: str) -> None:
    moving, flat = band_pass_track(syllables(10, 7)), band_pass_track(np.full(1000, 0.3))
    lips, sound = (flat, moving) if constant == "lips" else (moving, flat)
    found = align_tracks(lips, np.ones(1000, bool), sound)
    assert (found.match, found.offset, found.line.slope) == (0.0, 0.0, 0.0)
    assert (found.offset_interval.low, found.offset_interval.high) == (-1.0, 1.0)
    assert (found.drift_interval.low, found.drift_interval.high) == (-MAX_DRIFT, MAX_DRIFT)
    assert found.windows.shape == (0, 3)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Of 40 offsets, 95 % lie within; a binomial as low as 33 would be a lie."""
    held = 0
    for seed in range(40):
        lips = syllables(15, seed)
        found = align_tracks(
            band_pass_track(lips),
            np.ones(len(lips), bool),
            band_pass_track(heard_later(lips, 0.1, noise=1.5, seed=seed)),
        )
        held += found.offset_interval.low - 0.002 <= 0.1 <= found.offset_interval.high + 0.002
    assert held >= 33


def test_windows_follow_the_line() -> None:
    lips = syllables(60, 8)
    found = align_tracks(
        band_pass_track(lips), np.ones(len(lips), bool), band_pass_track(heard_later(lips, 0.1, 0.01))
    )
    times, lags, matches = found.windows.T
    assert len(times) == 12
    np.testing.assert_allclose(lags, 0.1 + 0.01 * times, atol=0.02)
    assert matches.min() > 0.5

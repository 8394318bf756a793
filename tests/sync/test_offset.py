"""Lines are found between tracks that differ by a known line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.sync.offset import (
    MAX_DRIFT,
    TRACK_RATE,
    Alignment,
    align_tracks,
    band_pass_track,
    smooth_track,
)

Track = NDArray[np.float64]


def syllables(seconds: float, seed: int) -> Track:
    """A track that rises and falls about four times a second."""
    random = np.random.default_rng(seed)
    return np.abs(smooth_track(random.standard_normal(round(seconds * TRACK_RATE)), 21)) * 4


def delay_track(lips: Track, lag: float, slope: float = 0.0, noise: float = 0.5, seed: int = 1) -> Track:
    """A track whose value at t + lag + slope·t is that of the lips at t, plus noise."""
    time = np.arange(round(len(lips) * 1.1) + 200) / TRACK_RATE
    moved = np.interp((time - lag) / (1 + slope), np.arange(len(lips)) / TRACK_RATE, lips, left=0, right=0)
    return moved + noise * np.std(lips) * syllables(len(time) / TRACK_RATE, seed + 99)


def align(lips: Track, sound: Track, face_mask: NDArray[np.bool_] | None = None) -> Alignment:
    mask = np.ones(len(lips), bool) if face_mask is None else face_mask
    return align_tracks(band_pass_track(lips), mask, band_pass_track(sound))


@pytest.mark.slow
@given(lag=st.floats(-0.4, 0.4), seed=st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_recovers_an_offset(lag: float, seed: int) -> None:
    lips = syllables(20, seed)
    found = align(lips, delay_track(lips, lag))
    assert found.offset == pytest.approx(lag, abs=0.01)
    assert found.match > 0.6


@pytest.mark.slow
@given(slope=st.sampled_from([-0.05, -0.02, -0.005, 0.005, 0.01, 0.05]), lag=st.floats(-0.3, 0.3))
@settings(max_examples=15, deadline=None)
def test_recovers_a_drift(slope: float, lag: float) -> None:
    lips = syllables(60, 3)
    found = align(lips, delay_track(lips, lag, slope))
    assert found.line.slope == pytest.approx(slope, rel=0.05)
    assert found.line.lag_at_zero == pytest.approx(lag, abs=0.03)
    assert found.drift_interval.low <= found.line.slope <= found.drift_interval.high
    assert found.drift_interval.low * slope > 0


def test_a_drift_of_several_seconds_is_followed() -> None:
    lips = syllables(400, 4)
    found = align(lips, delay_track(lips, 0.1, 0.01))
    assert found.line.slope == pytest.approx(0.01, rel=0.002)
    assert found.offset == pytest.approx(0.1 + 0.01 * found.middle, abs=0.01)


def test_steady_tracks_do_not_drift() -> None:
    lips = syllables(60, 5)
    found = align(lips, delay_track(lips, 0.2))
    assert abs(found.line.slope) < 1e-4
    assert found.drift_interval.low < 2e-5 < found.drift_interval.high + 1e-4


@pytest.mark.parametrize("seed", range(8))
def test_unrelated_tracks_match_little(seed: int) -> None:
    lips, other = syllables(20, seed), syllables(24, seed + 50)
    related = align(lips, delay_track(lips, 0.1))
    found = align(lips, other)
    assert found.match < 0.35 < related.match


def test_times_without_a_face_do_not_count() -> None:
    lips = syllables(30, 6)
    sound = delay_track(lips, 0.12)
    face_mask = np.ones(len(lips), bool)
    face_mask[800:1700] = False
    masked = np.where(face_mask, lips, 9.0)
    assert align(lips, sound, face_mask).offset == pytest.approx(0.12, abs=0.01)
    assert align(masked, sound, face_mask).offset == pytest.approx(0.12, abs=0.02)


@pytest.mark.parametrize("constant", ["lips", "sound"])
def test_a_constant_track_leaves_offset_and_drift_open(constant: str) -> None:
    moving, flat = band_pass_track(syllables(10, 7)), band_pass_track(np.full(1000, 0.3))
    lips, sound = (flat, moving) if constant == "lips" else (moving, flat)
    found = align_tracks(lips, np.ones(1000, bool), sound)
    assert (found.match, found.offset, found.line.slope) == (0.0, 0.0, 0.0)
    assert (found.offset_interval.low, found.offset_interval.high) == (-1.0, 1.0)
    assert (found.drift_interval.low, found.drift_interval.high) == (-MAX_DRIFT, MAX_DRIFT)
    assert found.windows.shape == (0, 3)


@pytest.mark.slow
def test_the_interval_covers_the_true_offset() -> None:
    """Of 40 offsets, 95 % should lie within; by a binomial, fewer than 33 are next to impossible."""
    covered = 0
    for seed in range(40):
        lips = syllables(15, seed)
        found = align_tracks(
            band_pass_track(lips),
            np.ones(len(lips), bool),
            band_pass_track(delay_track(lips, 0.1, noise=1.5, seed=seed)),
        )
        covered += found.offset_interval.low - 0.002 <= 0.1 <= found.offset_interval.high + 0.002
    assert covered >= 33


def test_windows_follow_the_line() -> None:
    lips = syllables(60, 8)
    found = align(lips, delay_track(lips, 0.1, 0.01))
    times, lags, matches = found.windows.T
    assert len(times) == 12
    np.testing.assert_allclose(lags, 0.1 + 0.01 * times, atol=0.02)
    assert matches.min() > 0.5

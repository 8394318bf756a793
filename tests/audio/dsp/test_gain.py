"""Levels reach the target, peaks stay under the ceiling, pauses are not amplified."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.sounds import babble, noise
from liveavatar.audio.dsp.gain import (
    FALL_DB_PER_SECOND,
    GAIN_BLOCK_SAMPLES,
    PEAK_CEILING,
    RISE_DB_PER_SECOND,
    LiveGainControl,
    SignalLevel,
    compute_fixed_gain,
)

RATE = 16_000


def live(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    leveller = LiveGainControl()
    return np.concatenate([leveller.push(samples), leveller.flush()])


def decibels(samples: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


def gain(loudness: float, true_peak: float, dc: float = 0.0) -> float:
    """The fixed gain in dB."""
    return 20 * math.log10(
        compute_fixed_gain(SignalLevel(loudness=loudness, true_peak=true_peak, dc_offset=dc))
    )


def test_a_recording_is_brought_to_the_target() -> None:
    assert abs(gain(-35, 0.05) - 15) < 1e-9
    assert abs(gain(-12, 0.9) + 8) < 1e-9


def test_the_ceiling_has_priority_over_the_target() -> None:
    assert abs(gain(-40, 0.5) - 20 * math.log10(PEAK_CEILING / 0.5)) < 1e-9
    assert abs(gain(-40, 0.5, -0.1) - 20 * math.log10(PEAK_CEILING / 0.6)) < 1e-9


def test_the_gain_of_silence_and_noise_is_limited() -> None:
    assert gain(-math.inf, 0.0) == 0
    assert abs(gain(-69, 1e-4) - 30) < 1e-9


@pytest.mark.parametrize("level", [0.005, 0.02, 0.1, 0.3])
def test_live_speech_of_any_level_ends_near_the_target(level: float) -> None:
    speech = live(babble(RATE, 20, level)[:, 0])
    loud = speech[12 * RATE :]
    assert abs(decibels(loud[np.abs(loud) > 1e-4]) + 20) < 3


@pytest.mark.slow
@given(st.lists(st.integers(0, 20_000), max_size=12))
def test_chunks_give_the_same_bits(cuts: list[int]) -> None:
    sound = babble(RATE, 1.25)[:, 0]
    leveller = LiveGainControl()
    pieces = [leveller.push(piece) for piece in np.split(sound, sorted(cuts))]
    assert np.array_equal(np.concatenate([*pieces, leveller.flush()]), live(sound))


@pytest.mark.slow
@given(st.integers(0, 1_000), st.floats(0.01, 30))
def test_no_sample_passes_the_ceiling(seed: int, level: float) -> None:
    generator = np.random.default_rng(seed)
    sound = level * generator.standard_normal(RATE) * (generator.random(RATE) < 0.01)
    assert np.abs(live(sound.astype(np.float32))).max() <= PEAK_CEILING + 1e-6


def test_the_length_is_unchanged() -> None:
    for count in (0, 1, GAIN_BLOCK_SAMPLES - 1, GAIN_BLOCK_SAMPLES, GAIN_BLOCK_SAMPLES + 1, 1_000):
        assert len(live(noise(RATE, count / RATE)[:, 0])) == count


def test_the_latency_is_under_20_ms() -> None:
    leveller = LiveGainControl()
    output_count = sum(len(leveller.push(noise(RATE, 0.005)[:, 0])) for _ in range(100))
    assert RATE // 2 - output_count < 2 * GAIN_BLOCK_SAMPLES


def test_pauses_are_not_amplified() -> None:
    """Quiet room noise after speech has the gain of the speech."""
    room = noise(RATE, 12, level=0.0005)[:, 0]
    sound = room.copy()
    sound[: 6 * RATE] += babble(RATE, 6, 0.05)[:, 0]
    levelled = live(sound)
    first, last = (
        levelled[span] / sound[span] for span in (slice(6 * RATE, 7 * RATE), slice(11 * RATE, 12 * RATE))
    )
    assert abs(20 * np.log10(np.median(last) / np.median(first))) < 0.1


def test_the_gain_changes_no_faster_than_its_limits() -> None:
    """Peaks may change it faster, but this quiet tone has none."""
    tone = (0.05 * np.sin(2 * np.pi * 200 * np.arange(12 * RATE) / RATE)).astype(np.float32)
    tone[4 * RATE : 8 * RATE] *= 4
    levelled = live(tone)
    blocks = tone.reshape(-1, RATE // 4), levelled.reshape(-1, RATE // 4)
    gains = np.array([decibels(after) - decibels(before) for before, after in zip(*blocks, strict=True)])
    change = np.diff(gains) * 4
    assert change.min() >= -FALL_DB_PER_SECOND - 0.5
    assert change[8:].max() <= RISE_DB_PER_SECOND + 0.5
    assert np.ptp(gains) > 6, "the tone must change the gain"


def test_a_dc_offset_is_removed() -> None:
    sound = babble(RATE, 8, 0.1)[:, 0] + np.float32(0.2)
    assert abs(float(live(sound)[4 * RATE :].mean())) < 0.005


def test_a_second_stream_is_independent() -> None:
    leveller = LiveGainControl()
    sound = babble(RATE, 1)[:, 0]
    first = np.concatenate([leveller.push(sound), leveller.flush()])
    assert np.array_equal(np.concatenate([leveller.push(sound), leveller.flush()]), first)

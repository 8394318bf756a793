"""Loudness against the values in the standards (EBU Tech 3341, ITU-R BS.1770)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.sounds import noise, sine
from liveavatar.audio.dsp.loudness import LoudnessMeter

STEREO = ("FL", "FR")


def loudness(samples: NDArray[np.float32], rate: int = 48_000, layout: tuple[str, ...] = ("FC",)) -> float:
    meter = LoudnessMeter(rate, layout)
    meter.push(np.ascontiguousarray(samples.T))
    return meter.finish()


def steps(levels: list[tuple[float, float]], rate: int = 48_000) -> NDArray[np.float32]:
    """A stereo tone of 1 kHz through (seconds, dB of full scale)."""
    parts = [sine(rate, seconds, 1_000, 10 ** (level / 20)) for seconds, level in levels]
    return np.repeat(np.concatenate(parts), 2, axis=1)


def test_a_full_scale_tone_of_997_hz_reads_minus_3_01() -> None:
    assert abs(loudness(sine(48_000, 5, 997)) + 3.01) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([(20.0, -23.0)], -23.0),  # EBU Tech 3341 case 1
        ([(20.0, -33.0)], -33.0),  # case 2
        ([(10.0, -36.0), (60.0, -23.0), (10.0, -36.0)], -23.0),  # case 3
        ([(10.0, -72.0), (10.0, -36.0), (60.0, -23.0), (10.0, -36.0), (10.0, -72.0)], -23.0),  # case 4
        ([(20.0, -26.0), (20.1, -20.0), (20.0, -26.0)], -23.0),  # case 5
    ],
)
def test_the_cases_of_ebu_3341(levels: list[tuple[float, float]], expected: float) -> None:
    assert abs(loudness(steps(levels), layout=STEREO) - expected) < 0.1


def test_surround_channels_are_weighted_and_lfe_is_not_measured() -> None:
    """EBU Tech 3341 case 6."""
    sound = np.zeros((5 * 48_000, 6), np.float32)
    for channel, level in ((0, -28), (1, -28), (2, -24), (4, -30), (5, -30)):
        sound[:, channel] = sine(48_000, 5, 1_000, 10 ** (level / 20))[:, 0]
    sound[:, 3] = 0.9
    assert abs(loudness(sound, layout=("FL", "FR", "FC", "LFE", "BL", "BR")) + 23) < 0.1


@pytest.mark.parametrize("rate", [3_000, 8_000, 11_025, 16_000, 22_050, 44_100, 96_000, 192_000])
def test_every_rate_gives_the_same_loudness(rate: int) -> None:
    assert abs(loudness(sine(rate, 3, 400, 0.1), rate) - loudness(sine(48_000, 3, 400, 0.1))) < 0.1


@pytest.mark.slow
@given(st.lists(st.integers(0, 32_000), max_size=8))
def test_chunks_give_the_same_loudness(cuts: list[int]) -> None:
    sound = noise(16_000, 2, 2)
    meter = LoudnessMeter(16_000, STEREO)
    for piece in np.split(sound, sorted(cuts)):
        meter.push(piece.T)
    assert meter.finish() == loudness(sound, 16_000, STEREO)


def test_silence_has_no_loudness() -> None:
    assert loudness(np.zeros((48_000, 1), np.float32)) == -math.inf
    assert loudness(np.zeros((100, 1), np.float32)) == -math.inf
    assert loudness(np.zeros((0, 1), np.float32)) == -math.inf
    assert loudness(sine(48_000, 2, 1_000, 1e-5)) == -math.inf


def test_a_sound_shorter_than_a_block_is_not_gated() -> None:
    assert abs(loudness(sine(48_000, 0.2, 1_000)) + 3.0) < 0.2


def test_floats_on_the_scale_of_int16_are_measured() -> None:
    assert abs(loudness(sine(48_000, 2, 997, 32_768)) - (90.31 - 3.01)) < 0.01

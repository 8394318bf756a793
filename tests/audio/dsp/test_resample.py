"""Resampling keeps time and length exactly, by any chunking."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.sounds import noise, sine
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.timeline import rescale_count

RATES = [3_000, 8_000, 11_025, 16_000, 16_001, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000]


@given(
    rate=st.sampled_from(RATES),
    count=st.integers(0, 9_000),
    cuts=st.lists(st.integers(0, 9_000), max_size=12),
    channels=st.sampled_from([1, 2]),
)
def test_chunks_give_the_same_bits(rate: int, count: int, cuts: list[int], channels: int) -> None:
    sound = noise(rate, count / rate, channels)
    one_chunk = Resampler(rate, channels=channels).resample_chunk(sound, last=True)
    stream = Resampler(rate, channels=channels)
    pieces = [
        stream.resample_chunk(piece) for piece in np.split(sound, sorted(min(cut, count) for cut in cuts))
    ]
    pieces.append(stream.resample_chunk(sound[:0], last=True))
    assert np.array_equal(np.concatenate(pieces), one_chunk)


@given(
    rate=st.integers(1_000, 400_000), count=st.integers(1, 20_000), to_rate=st.sampled_from([16_000, 48_000])
)
def test_the_length_is_exact(rate: int, count: int, to_rate: int) -> None:
    resampled = Resampler(rate, to_rate).resample_chunk(np.ones(count, np.float32), last=True)
    assert len(resampled) == max(1, rescale_count(count, rate, to_rate))


@pytest.mark.parametrize("rate", RATES)
def test_an_impulse_stays_at_its_time(rate: int) -> None:
    sound = np.zeros(rate, np.float32)
    sound[rate // 3] = 1
    resampled = Resampler(rate).resample_chunk(sound, last=True).astype(np.float64)
    middle = (np.arange(len(resampled)) * resampled).sum() / resampled.sum()
    assert abs(middle - rate // 3 * 16_000 / rate) < 0.01


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_the_speech_band_passes_and_aliases_do_not(rate: int) -> None:
    passed = Resampler(rate).resample_chunk(sine(rate, 1, 7_000)[:, 0], last=True)[4_000:12_000]
    lost = Resampler(rate).resample_chunk(sine(rate, 1, 9_000)[:, 0], last=True)[4_000:12_000]
    assert abs(20 * np.log10(np.sqrt(2 * np.mean(passed**2)))) < 0.01
    assert np.abs(lost).max() < 1e-5


def test_one_resampler_serves_a_second_stream() -> None:
    resampler = Resampler(44_100)
    sound = noise(44_100, 0.2)[:, 0]
    first = resampler.resample_chunk(sound, last=True)
    assert np.array_equal(resampler.resample_chunk(sound, last=True), first)
    resampler.resample_chunk(sound)
    resampler.clear()
    assert np.array_equal(resampler.resample_chunk(sound, last=True), first)


def test_an_empty_stream_stays_empty() -> None:
    assert len(Resampler(44_100).resample_chunk(np.empty(0, np.float32), last=True)) == 0

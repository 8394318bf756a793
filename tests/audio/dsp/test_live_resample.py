"""The resampler for live sound: as exact as soxr in time and length, with a latency of 6 ms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.sounds import noise, sine
from liveavatar.audio.dsp.live_resample import LiveResampler, create_live_resampler
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.timeline import rescale_count

RATES = [3_000, 8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]


@pytest.mark.slow
@settings(max_examples=60)
@given(
    rate=st.sampled_from(RATES),
    count=st.integers(0, 5_000),
    cuts=st.lists(st.integers(0, 5_000), max_size=12),
    channels=st.sampled_from([1, 2]),
)
def test_chunks_give_the_same_bits(rate: int, count: int, cuts: list[int], channels: int) -> None:
    sound = noise(rate, count / rate, channels)
    one_chunk = LiveResampler(rate, 16_000, channels).resample_chunk(sound, last=True)
    stream = LiveResampler(rate, 16_000, channels)
    pieces = [
        stream.resample_chunk(piece) for piece in np.split(sound, sorted(min(cut, count) for cut in cuts))
    ]
    pieces.append(stream.resample_chunk(sound[:0], last=True))
    assert np.array_equal(np.concatenate(pieces), one_chunk)
    assert len(one_chunk) == (max(1, rescale_count(count, rate, 16_000)) if count else 0)


@pytest.mark.parametrize("rate", RATES)
def test_an_impulse_stays_at_its_time(rate: int) -> None:
    sound = np.zeros((rate, 1), np.float32)
    sound[rate // 3] = 1
    resampled = LiveResampler(rate, 16_000).resample_chunk(sound, last=True)[:, 0].astype(np.float64)
    middle = (np.arange(len(resampled)) * resampled).sum() / resampled.sum()
    assert abs(middle - rate // 3 * 16_000 / rate) < 0.02


@pytest.mark.parametrize("rate", RATES)
def test_the_latency_is_6_ms(rate: int) -> None:
    stream = LiveResampler(rate, 16_000)
    output_count = len(stream.resample_chunk(noise(rate, 1.0)))
    assert 16_000 - output_count <= 0.0065 * 16_000 + 1


@pytest.mark.slow
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_speech_band_passes_and_aliases_do_not(rate: int) -> None:
    stream = LiveResampler(rate, 16_000)
    for pitch in (100, 1_000, 4_000, 7_500):
        passed = stream.resample_chunk(sine(rate, 1, pitch), last=True)[4_000:12_000]
        assert abs(20 * np.log10(np.sqrt(2 * np.mean(passed**2)))) < 0.01
    for pitch in (8_000, 9_000, 15_000, 20_000):
        lost = stream.resample_chunk(sine(rate, 1, pitch), last=True)[4_000:12_000]
        assert np.abs(lost).max() < 1.2e-4


def test_it_agrees_with_soxr_on_speech_band_sound() -> None:
    sound = sum(sine(44_100, 0.5, pitch, 0.1) for pitch in (120, 700, 2_500, 6_000))
    assert isinstance(sound, np.ndarray)
    ours = LiveResampler(44_100, 16_000).resample_chunk(sound, last=True)[:, 0]
    theirs = Resampler(44_100).resample_chunk(sound[:, 0], last=True)
    assert np.abs(ours - theirs)[200:-200].max() < 1e-4


def test_rates_with_large_tables_use_soxr() -> None:
    assert isinstance(create_live_resampler(44_100, 16_000, 1), LiveResampler)
    assert isinstance(create_live_resampler(44_101, 16_000, 1), Resampler)
    assert isinstance(create_live_resampler(16_000, 16_000, 1), Resampler)


def test_a_second_stream_is_independent() -> None:
    stream = LiveResampler(24_000, 16_000)
    sound = noise(24_000, 0.3)
    first = stream.resample_chunk(sound, last=True)
    assert np.array_equal(stream.resample_chunk(sound, last=True), first)

"""The edge of the band shows that a recording was upsampled."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.sounds import noise
from liveavatar.audio.analysis.bandwidth import BandLimit, BandwidthMeter
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.frames import Samples


def band(sound: Samples, rate: int) -> BandLimit | None:
    meter = BandwidthMeter(rate, 1)
    meter.push(sound[None])
    return meter.finish()


def resampled(sound: Samples, *rates: int) -> Samples:
    """Resampled from each rate to the next in turn."""
    for before, after in pairwise(rates):
        sound = Resampler(before, after).resample_chunk(sound, last=True)
    return sound


@pytest.mark.parametrize("narrow", [8_000, 11_025, 12_000, 16_000])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_edge_of_upsampled_speech_is_found(speech: Samples, narrow: int, rate: int) -> None:
    found = band(resampled(speech, 16_000, narrow, rate), rate)
    assert found is not None
    assert found.is_sharp
    assert 0.92 * narrow / 2 <= found.edge_hz <= 1.01 * narrow / 2


def test_speech_at_its_own_rate_fills_its_band(speech: Samples) -> None:
    found = band(speech, 16_000)
    assert found is not None
    assert not found.is_sharp
    assert found.edge_hz > 7_500


@pytest.mark.parametrize("rate", [3_000, 16_000, 384_000])
def test_noise_fills_every_band(rate: int) -> None:
    assert band(noise(rate, 2)[:, 0], rate) == BandLimit(edge_hz=rate / 2, is_sharp=False)


def test_silence_and_very_short_sounds_have_no_band() -> None:
    assert band(np.zeros(16_000, np.float32), 16_000) is None
    assert band(noise(16_000, 0.01)[:, 0], 16_000) is None


@pytest.mark.slow
@given(cuts=st.lists(st.integers(0, 20_000), max_size=8))
def test_any_chunking_gives_the_same(cuts: list[int]) -> None:
    sound = noise(16_000, 1.25, channels=2).T
    whole, pieces = BandwidthMeter(16_000, 2), BandwidthMeter(16_000, 2)
    whole.push(sound)
    for piece in np.split(sound, sorted(cuts), axis=1):
        pieces.push(piece)
    assert np.array_equal(whole._level_histograms, pieces._level_histograms)

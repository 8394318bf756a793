"""The true peak lies between the samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.sounds import noise, sine
from liveavatar.audio.dsp.true_peak import TruePeakMeter


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_a_peak_between_samples_is_found(rate: int) -> None:
    """A quarter-rate tone 45 degrees off its samples: they reach 0.707, the curve 1."""
    phase = np.pi / 2 * np.arange(4_000) + np.pi / 4
    meter = TruePeakMeter(rate, 1)
    meter.push((np.sin(phase) * np.hanning(4_000)).astype(np.float32)[None])
    assert abs(20 * np.log10(meter.finish())) < 0.2


def test_no_peak_is_less_than_the_highest_sample() -> None:
    sound = noise(16_000, 1)
    meter = TruePeakMeter(16_000, 1)
    meter.push(sound.T)
    assert meter.finish() >= np.abs(sound).max()


@given(st.lists(st.integers(0, 8_000), max_size=8), st.integers(0, 100))
def test_chunks_give_the_same_peak(cuts: list[int], seed: int) -> None:
    sound = noise(16_000, 0.5, 2, seed)
    one_chunk, stream = TruePeakMeter(16_000, 2), TruePeakMeter(16_000, 2)
    one_chunk.push(sound.T)
    for piece in np.split(sound, sorted(cuts)):
        stream.push(piece.T)
    assert abs(stream.finish() - one_chunk.finish()) < 1e-6


def test_skipping_blocks_misses_no_peak() -> None:
    sound = noise(16_000, 1, seed=3) * np.linspace(0.1, 1, 16_000, dtype=np.float32)[:, None]
    meter = TruePeakMeter(16_000, 1)
    meter.push(sound.T)
    spectrum = np.fft.rfft(sound[:, 0])
    curve = np.fft.irfft(spectrum, 8 * 16_000) * 8
    assert abs(20 * np.log10(meter.finish() / np.abs(curve).max())) < 0.3


def test_the_end_of_the_stream_is_measured() -> None:
    meter = TruePeakMeter(48_000, 1)
    meter.push(sine(48_000, 0.1, 12_000)[:-1].T)
    before = meter.peak
    assert meter.finish() >= before

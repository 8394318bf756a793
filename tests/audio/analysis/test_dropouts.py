"""Dropouts are distinguished from pauses, fades and quiet moments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.sounds import sine
from liveavatar.audio.analysis.dropouts import DropoutCounter
from liveavatar.frames import Samples

RATE = 16_000


def count_dropouts(sound: Samples, rate: int = RATE) -> tuple[int, int]:
    meter = DropoutCounter(rate)
    meter.push(sound)
    return meter.count, meter.sample_count


def with_gap(start: int, length: int) -> Samples:
    sound = sine(RATE, 2, 210, 0.3)[:, 0].copy()
    sound[start : start + length] = 0
    return sound


@pytest.mark.parametrize("length", [64, 320, 4_000])
def test_a_gap_is_found(length: int) -> None:
    count, samples = count_dropouts(with_gap(10_010, length))
    assert count == 1
    assert length <= samples <= length + 2


@pytest.mark.parametrize("length", [0, 2, 20, 12_000])
def test_clicks_and_pauses_are_no_dropouts(length: int) -> None:
    assert count_dropouts(with_gap(10_010, length)) == (0, 0)


def test_a_fade_into_silence_is_no_dropout() -> None:
    sound = with_gap(10_000, 2_000)
    fade = np.linspace(1, 0, 200, dtype=np.float32) ** 2
    sound[9_800:10_000] *= fade
    sound[12_000:12_200] *= fade[::-1]
    assert count_dropouts(sound) == (0, 0)


def test_silence_at_both_ends_is_no_dropout() -> None:
    sound = with_gap(0, 3_000)
    sound[-3_000:] = 0
    assert count_dropouts(sound) == (0, 0)


def test_clear_speech_has_no_dropouts(speech: Samples) -> None:
    assert count_dropouts(speech) == (0, 0)


def test_gaps_in_speech_are_found(speech: Samples) -> None:
    sound, generator = speech.copy(), np.random.default_rng(3)
    loud = np.flatnonzero(np.abs(sound) > 0.15)
    for start in generator.choice(loud[(loud > 8_000) & (loud < len(sound) - 8_000)], 12):
        sound[start : start + 240] = 0
    assert count_dropouts(sound)[0] >= 8


@given(cuts=st.lists(st.integers(0, 32_000), max_size=12))
def test_any_chunking_gives_the_same(cuts: list[int]) -> None:
    sound = with_gap(10_010, 320)
    sound[20_000:20_100] = sound[25_000:31_990] = 0
    meter = DropoutCounter(RATE)
    for piece in np.split(sound, sorted(cuts)):
        meter.push(piece)
    assert (meter.count, meter.sample_count) == count_dropouts(sound)

"""Speech that goes on after a break is noticed at once, whatever the chunks; pauses between sentences are none."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.frames import Samples
from liveavatar.provenance.speech_breaks import SpeechBreakTracker

RATE = 16_000


def make_sound(*parts: tuple[float, float], noise: float = 0.0) -> Samples:
    """Parts of (seconds, level): syllables of 0.3 s with 0.2 s between them."""
    tones = []
    for seconds, level in parts:
        time = np.arange(round(seconds * RATE))
        tones.append(level * np.sin(time / 5) * (time % 8_000 < 4_800))
    hiss = np.random.default_rng(0).standard_normal(sum(map(len, tones)))
    return (np.concatenate(tones) + noise * hiss).astype(np.float32)


def find_returns(sound: Samples, step: int = 640) -> list[float]:
    """Seconds at which the speech goes on after a break, asked every `step` samples."""
    tracker = SpeechBreakTracker()
    tracker.push(sound)
    return [end / RATE for end in range(step, len(sound) + step, step) if tracker.listen_until(end)]


@pytest.mark.parametrize("noise", [0.0, 0.003])
@pytest.mark.parametrize(("pause", "is_break"), [(0.5, False), (2.5, False), (3.3, True), (60.0, True)])
def test_a_break_is_three_seconds(pause: float, is_break: bool, noise: float) -> None:
    sound = make_sound((2, 0.2), (pause, 0), (2, 0.1), noise=noise)
    assert find_returns(sound) == ([pytest.approx(2 + pause + 0.1, abs=0.15)] if is_break else [])


def test_silence_before_the_first_word_is_a_break() -> None:
    assert len(find_returns(make_sound((5, 0), (1, 0.1)))) == 1
    assert find_returns(make_sound((1, 0), (1, 0.1))) == []


def test_a_softer_voice_is_heard_in_time() -> None:
    assert len(find_returns(make_sound((2, 0.5), (4, 0), (5, 0.01)))) == 1


def test_steady_noise_that_begins_is_taken_for_speech_once_at_most() -> None:
    noise = 0.01 * np.random.default_rng(0).standard_normal(40 * RATE).astype(np.float32)
    sound = np.concatenate([make_sound((2, 0.2), (4, 0)), noise])
    assert len(find_returns(sound)) == 1
    assert len(find_returns(np.concatenate([sound, make_sound((2, 0.2), noise=0.01)]))) == 2


def test_dropped_sound_is_not_heard() -> None:
    tracker = SpeechBreakTracker()
    tracker.push(make_sound((4, 0), (10, 0.2)))
    assert not tracker.listen_until(4 * RATE)
    tracker.restart_at(4 * RATE)
    assert not tracker.listen_until(10 * RATE)
    tracker.push(make_sound((1, 0.2)))
    assert tracker.listen_until(5 * RATE)


SOUND = make_sound((0.7, 0.2), (3.4, 0), (0.5, 0.1), (4, 0), (0.3, 0.3))


@given(st.lists(st.integers(1, 9_000), max_size=40))
def test_any_chunking_gives_the_same(sizes: list[int]) -> None:
    tracker, heard = SpeechBreakTracker(), []
    cuts = np.minimum(np.cumsum([0, *sizes, len(SOUND)]), len(SOUND))
    frame = 0
    for start, end in pairwise(cuts):
        tracker.push(SOUND[start:end])
        while 640 * (frame + 1) <= end:  # frames come when their sound is there
            frame += 1
            if tracker.listen_until(640 * frame):
                heard.append(640 * frame / RATE)
    assert heard == find_returns(SOUND)[: len(heard)]
    assert len(heard) == 2

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.errors import SessionClosed
from liveavatar.speech import CONTROLS, VISEMES, SpeechStream, SpeechTrack
from made_speech import RATE, assert_same, voice


def run_stream(samples: NDArray[np.float32], cuts: list[int]) -> SpeechTrack:
    stream = SpeechStream()
    edges = [0, *sorted(cuts), len(samples)]
    runs = [stream.push(samples[a:b]) for a, b in itertools.pairwise(edges)]
    return SpeechTrack.join_runs([*runs, stream.flush()])


@pytest.mark.slow
@given(st.integers(0, 20_000), st.lists(st.integers(0, 20_000), max_size=30))
@settings(max_examples=40, deadline=None)
def test_chunks_do_not_change_a_bit(length: int, cuts: list[int]) -> None:
    samples = voice(20_000 / RATE)[:length]
    assert_same(run_stream(samples, [min(cut, length) for cut in cuts]), run_stream(samples, []))


@pytest.mark.parametrize("chunk", [1, 37, 160, 640, 1600])
def test_even_chunks_do_not_change_a_bit(chunk: int) -> None:
    samples = voice(0.7, seed=1)
    assert_same(run_stream(samples, list(range(chunk, len(samples), chunk))), run_stream(samples, []))


@pytest.mark.parametrize("at", [0, 1000, 7999, 8000])
def test_later_sound_does_not_change_steps_beyond_the_look_ahead(at: int) -> None:
    one, other = voice(1.0), voice(1.0)
    other[at:] = np.random.default_rng(5).normal(0, 0.3, len(other) - at)
    certain = max(0, (at - SpeechStream().lookahead) // 160)
    assert_same(run_stream(one, []).slice_steps(0, certain), run_stream(other, []).slice_steps(0, certain))


def test_steps_come_as_soon_as_the_look_ahead_allows() -> None:
    stream, samples, emitted = SpeechStream(), voice(0.5), 0
    for end in range(1, len(samples) + 1):
        run = stream.push(samples[end - 1 : end])
        assert run.start == emitted
        emitted += len(run)
        expected = max(0, (end - stream.lookahead) // 160)
        assert expected <= emitted <= expected + 1  # steps come in pairs, so that one of the two is early


def test_look_ahead_is_within_120_milliseconds() -> None:
    assert 0 <= SpeechStream().lookahead <= 1920


@pytest.mark.parametrize(("samples", "steps"), [(0, 0), (1, 1), (160, 1), (161, 2), (16_000, 100)])
def test_flush_gives_every_started_step(samples: int, steps: int) -> None:
    speech = run_stream(voice(2.0)[:samples], [])
    assert (speech.start, len(speech)) == (0, steps)


def test_shapes_and_ranges() -> None:
    speech = run_stream(voice(2.0), [])
    assert speech.visemes.shape == (200, len(VISEMES))
    assert speech.controls.shape == (200, len(CONTROLS))
    np.testing.assert_allclose(speech.visemes.sum(axis=1), 1.0, atol=1e-5)
    for name in ("visemes", "controls", "energy", "emphasis", "speaking"):
        column = getattr(speech, name)
        assert column.dtype == np.float32
        assert 0.0 <= column.min() <= column.max() <= 1.0, name


def test_reset_starts_afresh_and_streams_share_no_state() -> None:
    samples = voice(0.6)
    used, other = SpeechStream(), SpeechStream()
    used.push(voice(0.9, seed=3))
    used.flush()
    other.push(voice(0.4, seed=4))
    used.reset()
    assert_same(SpeechTrack.join_runs([used.push(samples), used.flush()]), run_stream(samples, []))


def test_an_ended_stream_refuses_sound() -> None:
    stream = SpeechStream()
    stream.flush()
    with pytest.raises(SessionClosed, match="reset"):
        stream.push(voice(0.1))


def test_memory_does_not_grow_with_the_length_of_the_stream() -> None:
    stream, chunk = SpeechStream(), voice(1.0)
    sizes = []
    for _ in range(5):
        stream.push(chunk)
        sizes.append(len(stream._sound) + len(stream._levels))
    assert max(sizes[1:]) <= sizes[1]


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_and_hiss_close_the_mouth(level: float) -> None:
    samples = np.asarray(np.random.default_rng(0).normal(0, level, RATE), np.float32)
    speech = run_stream(samples, [])
    assert speech.visemes[:, VISEMES.index("sil")].min() > 0.5
    assert speech.controls.max() < 0.1
    assert speech.speaking.max() < 0.5

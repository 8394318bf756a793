import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.errors import EngineError, OptionError
from liveavatar.frames import Samples
from liveavatar.mesh.session import MeshEngine
from liveavatar.speech import SpeechStream, SpeechTrack
from liveavatar.speech.models.whisper import compute_whisper_mel, import_ctranslate2
from made_speech import assert_same, voice

needs_ctranslate2 = pytest.mark.skipif(find_spec("ctranslate2") is None, reason="needs the extra whisper")


def run_stream(samples: Samples, cuts: list[int]) -> SpeechTrack:
    stream = SpeechStream("whisper")
    chunks = np.split(samples, sorted(cuts))
    return SpeechTrack.join_runs([*(stream.push(piece) for piece in chunks), stream.flush()])


@pytest.mark.slow
@needs_ctranslate2
@given(st.lists(st.integers(0, 24_000), max_size=12))
@settings(max_examples=5)
def test_chunks_do_not_change_a_bit(cuts: list[int]) -> None:
    samples = voice(1.5)
    assert_same(run_stream(samples, cuts), run_stream(samples, []))


@pytest.mark.slow
@needs_ctranslate2
@pytest.mark.parametrize("at", [5000, 16_000])
def test_later_sound_does_not_change_steps_beyond_the_look_ahead(at: int) -> None:
    one, other = voice(1.5), voice(1.5)
    other[at:] = np.random.default_rng(5).normal(0, 0.3, len(other) - at)
    certain = (at - SpeechStream("whisper").lookahead) // 160
    assert_same(run_stream(one, []).slice_steps(0, certain), run_stream(other, []).slice_steps(0, certain))


@pytest.mark.slow
@needs_ctranslate2
def test_steps_come_as_soon_as_the_look_ahead_allows() -> None:
    stream, samples, emitted = SpeechStream("whisper"), voice(0.6), 0
    for start in range(0, len(samples), 80):
        emitted += len(stream.push(samples[start : start + 80]))
        expected = max(0, (start + 80 - stream.lookahead) // 160)
        assert expected <= emitted <= expected + 8


@needs_ctranslate2
def test_the_look_ahead_is_a_fifth_of_a_second() -> None:
    assert 0 < SpeechStream("whisper").lookahead <= 3200


def test_a_tone_lies_in_its_band_and_the_range_is_eighty_decibels() -> None:
    time = np.arange(16_000) / 16_000
    mel = compute_whisper_mel(np.asarray(0.5 * np.sin(2 * np.pi * 1000 * time), np.float32))
    assert mel.shape == (100, 80)
    assert np.all(mel[2:-2].argmax(axis=1) == 26)  # 1 kHz is 15 of 45.2 Slaney mels; bands are 0.559 apart
    assert mel.max() - mel.min() == pytest.approx(2.0)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(OptionError, match="use one of: small, whisper"):
        SpeechStream("large")
    with pytest.raises(OptionError, match="use one of: small, whisper"):
        MeshEngine(speech="large")


def test_a_missing_library_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(EngineError, match=r"pip install 'liveavatar\[whisper\]'"):
        import_ctranslate2()

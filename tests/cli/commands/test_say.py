import io
import json
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cli.commands.test_generate import run as run_program
from liveavatar.frames import Samples
from liveavatar.voices import speech_file
from liveavatar.voices.clauses import split_into_clauses
from liveavatar.voices.text import prepare_text
from liveavatar.voices.voice import SpokenClause, assemble_clauses


class HummingVoice:
    """A tone for each clause."""

    def speak(self, text: str) -> Iterator[SpokenClause]:
        return assemble_clauses(split_into_clauses(prepare_text(text)), self._hum, 24_000)

    def _hum(self, text: str) -> Samples:
        return np.asarray(0.5 * np.sin(np.arange(1_000 * len(text)) * 0.05), np.float32)


@pytest.fixture(autouse=True)
def humming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_file, "open_voice", lambda _: HummingVoice())


def run(*arguments: str | Path) -> int:
    return run_program("say", *arguments)


def test_a_text_becomes_a_wav(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("Hello there, you. Bye!", "-o", tmp_path / "a.wav", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.getnframes() == round(24_000 * result["seconds"])
    assert [clause["text"] for clause in result["clauses"]] == ["Hello there, you.", "Bye!"]
    assert result["clauses"][0]["end"] < result["clauses"][1]["start"]
    assert result["voice"] == "hibari"


def test_the_text_may_come_from_stdin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("你好。".encode()), "utf-8"))
    assert run("-", "-o", tmp_path / "a.wav") == 0
    assert (tmp_path / "a.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([""], "there is no text"),
        (["..."], "the text has no words"),
        (["hi", "--voice", "bob"], "there is no voice 'bob'"),
        (["hi", "-o", "a.mp3"], "a.mp3 does not end in .wav"),
        (["hi", "-o", "missing/a.wav"], "there is no folder missing"),
    ],
)
def test_what_cannot_be_said_is_one_line_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert problem in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_voices_are_listed_with_their_licences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--voice", "list") == 0
    shown = capsys.readouterr().out
    for word in ("hibari", "zf_xiaobei", "zh-CN", "Apache-2.0"):
        assert word in shown

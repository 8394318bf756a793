"""Where the speech of a video comes from: a recording, or a voice that speaks a text."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from liveavatar.cli.progress import show_stage
from liveavatar.errors import OptionError
from liveavatar.files import scratch_folder
from liveavatar.voices.catalogue import AUTO_VOICE, choose_voice_name
from liveavatar.voices.speech_file import write_speech
from liveavatar.voices.text import MAX_CHARACTERS
from liveavatar.voices.voice import SpokenClause

STANDARD_INPUT = "-"
"""The text that means: read stdin."""

VoiceName = Annotated[
    str,
    typer.Option(
        metavar="auto|NAME",
        help="Who speaks a text: hibari (English), af_heart, zf_xiaobei, …; auto goes by the language. "
        "`liveavatar say --voice list` shows all.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What the portrait says: a file, and its clauses if a voice spoke it."""

    path: Path
    clauses: list[SpokenClause]


def check_speech_options(audio: Path | None, text: str | None, voice: str) -> None:
    """Refuse two kinds of speech, or none, or a voice that cannot speak the text.

    Raises:
        OptionError: not exactly one of `audio` and `text` is given, or there is no such voice.
        VoiceError: the text cannot be spoken.
    """
    if (audio is None) == (text is None):
        problem = "there is no speech" if audio is None else "there are two kinds of speech"
        raise OptionError(problem, "give --audio FILE or --text TEXT")
    if text is not None and text != STANDARD_INPUT:
        choose_voice_name(voice, text)
    elif audio is not None and voice != AUTO_VOICE:
        raise OptionError("--voice has no effect on a recording", "leave it out, or give --text")


@contextmanager
def open_speech(audio: Path | None, text: str | None, voice: str) -> Iterator[Speech]:
    """Yield the recording, or what a voice makes of the text; the latter is removed at the end."""
    if audio is not None:
        yield Speech(path=audio, clauses=[])
        return
    with scratch_folder() as folder:
        wanted = read_text_argument(text or "")
        name = choose_voice_name(voice, wanted)
        with show_stage(f"{name} speaks"):
            clauses = write_speech(wanted, folder / "speech.wav", name)
        yield Speech(path=folder / "speech.wav", clauses=clauses)


def read_text_argument(text: str) -> str:
    """The text itself, or what is on stdin.

    Raises:
        OptionError: neither has anything.
    """
    if text != STANDARD_INPUT:
        if not text.strip():
            raise OptionError("there is no text", "write it in quotes, or - to read it from stdin")
        return text
    return sys.stdin.buffer.read(4 * MAX_CHARACTERS + 4).decode("utf-8", "replace")

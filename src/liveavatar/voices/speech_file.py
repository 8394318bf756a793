"""Writes what a voice says as a WAV file."""

from collections.abc import Callable
from os import PathLike

from liveavatar.audio.io.wav import write_wav
from liveavatar.errors import OutputError, VoiceError
from liveavatar.files import check_output_path, to_path
from liveavatar.voices.catalogue import AUTO_VOICE, choose_voice_name, open_voice
from liveavatar.voices.voice import SpokenClause


def write_speech(
    text: str,
    path: str | PathLike[str],
    voice: str = AUTO_VOICE,
    on_clause: Callable[[SpokenClause], None] = lambda _clause: None,
) -> list[SpokenClause]:
    """Speak `text` into a mono 16-bit WAV file, which appears complete or not at all; returns its clauses.

    `voice` is a name of `VOICES` or "auto", which goes by the language of the text. `on_clause` is called with each
    clause as soon as it is made.

    Raises:
        OptionError: there is no such voice.
        VoiceError: the text cannot be spoken, or the extra `voices` is not installed.
        WeightsError: a model cannot be fetched.
        OutputError: the file cannot be written.
    """
    output = to_path(path, OutputError, "sound file")
    check_output_path(output)
    clauses = []
    for clause in open_voice(choose_voice_name(voice, text)).speak(text):
        on_clause(clause)
        clauses.append(clause)
    if not clauses:
        raise VoiceError("the voice had no sound for this text", "write it in words")
    count = sum(len(clause.samples) for clause in clauses)
    write_wav(output, (clause.samples for clause in clauses), count, clauses[0].rate)
    return clauses

"""`liveavatar say`: a voice speaks a text into a sound file."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from liveavatar.cli.output import print_json
from liveavatar.cli.process.paths import PATH_METAVAR, parse_path
from liveavatar.cli.progress import show_stage
from liveavatar.cli.speech_source import VoiceName, read_text_argument
from liveavatar.errors import OutputError
from liveavatar.files import check_output_path, describe_path
from liveavatar.voices.catalogue import AUTO_VOICE, VOICES, choose_voice_name
from liveavatar.voices.speech_file import write_speech
from liveavatar.voices.voice import SpokenClause

LIST_VOICES = "list"
"""The value of `--voice` that shows all."""


def say(
    text: Annotated[
        str, typer.Argument(help="What to say, English or Mandarin; - reads it from stdin.")
    ] = "",
    voice: VoiceName = AUTO_VOICE,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The sound to write: .wav.", parser=parse_path, metavar=PATH_METAVAR
        ),
    ] = Path("out.wav"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Speak a text into a WAV file, without a network once the voice is fetched."""
    if voice == LIST_VOICES:
        print_voices(as_json=as_json)
        return
    if output.suffix.lower() != ".wav":
        raise OutputError(f"{describe_path(output)} does not end in .wav", "choose such a name")
    check_output_path(output)
    wanted = read_text_argument(text)
    name, started, first_sound = choose_voice_name(voice, wanted), time.perf_counter(), 0.0

    def note_first_sound(_clause: SpokenClause) -> None:
        nonlocal first_sound
        first_sound = first_sound or time.perf_counter() - started

    with show_stage(f"{name} speaks"):
        clauses = write_speech(wanted, output, name, note_first_sound)
    taken = time.perf_counter() - started
    seconds = sum(len(clause.samples) for clause in clauses) / clauses[0].rate
    if as_json:
        figures = {
            "seconds": round(seconds, 3),
            "taken": round(taken, 3),
            "first_sound": round(first_sound, 3),
        }
        print_json({"output": str(output), "voice": name, **figures, "clauses": clauses_to_objects(clauses)})
        return
    print(
        f"{describe_path(output)}: {seconds:.1f} s by {name} in {taken:.1f} s, "
        f"first sound after {1000 * first_sound:.0f} ms"
    )


def clauses_to_objects(clauses: list[SpokenClause]) -> list[dict[str, object]]:
    """Text, start and end in seconds of each clause, for `--json`."""
    return [
        {
            "text": clause.text,
            "start": round(clause.start_seconds, 3),
            "end": round(clause.end_seconds, 3),
        }
        for clause in clauses
    ]


def print_voices(*, as_json: bool) -> None:
    """Print the voices with language, model and licence."""
    if as_json:
        fields = ("name", "languages", "description", "model", "licence")
        print_json({"voices": [{field: getattr(voice, field) for field in fields} for voice in VOICES]})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "reads", "sounds like", "model", "licence"):
        table.add_column(column)
    for voice in VOICES:
        table.add_row(voice.name, ", ".join(voice.languages), voice.description, voice.model, voice.licence)
    Console().print(table, highlight=False)

"""Many recordings, prepared: folders keep their tree, what is done and unchanged is left, no file stops another."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from liveavatar.audio.manifest import Known, Manifest, content_hash
from liveavatar.audio.prepare import VERSION, Options, Prepared, prepare
from liveavatar.audio.summary import as_object
from liveavatar.audio.workers import Crash
from liveavatar.errors import LiveAvatarError
from liveavatar.files import part_of

SUFFIXES = frozenset(
    suffix
    for family in (
        "wav w64 rf64 aif aifc aiff au snd caf flac alac ape tta wv",
        "mp3 mp2 aac m4a m4b ogg oga opus spx wma amr 3gp ac3 eac3 dts gsm g722 ra",
        "mp4 m4v mov mkv mka webm avi flv wmv mpg mpeg ts vob ogv mxf",
    )
    for suffix in family.split()
)
"""What is taken for a recording in a folder; a file that is named itself may have any suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One recording to prepare; `name` is that of the result, below the folder of results."""

    source: Path
    output: Path
    name: str
    options: Options
    known: Known | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one recording; plain values, to be sent between processes and written as JSON."""

    source: str
    output: str
    state: Literal["done", "unchanged", "failed"]
    seconds: float = 0.0
    mended: tuple[str, ...] = ()
    left: tuple[dict[str, str], ...] = ()
    error: str = ""
    remedy: str = ""
    measured: dict[str, Any] | None = None
    known: Known | None = None

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        values = asdict(self)
        known = values.pop("known") or {}
        hashes = {name: known[name] for name in ("source_hash", "output_hash") if known}
        return {name: value for name, value in values.items() if value not in ("", None)} | hashes


Spread = Callable[[Callable[[Task], Outcome], Iterable[Task]], Iterator[tuple[Task, Outcome | Crash]]]
"""How tasks are done, one after the other or many at a time."""


def recordings(inputs: Iterable[Path], results: Path) -> Iterator[tuple[Path, Path]]:
    """Every recording named or found, with its place below the folder of results, without suffix."""
    for path in inputs:
        if path.is_dir():
            for found in _below(path, results.resolve()):
                yield found, found.relative_to(path).with_suffix("")
        else:
            yield path, Path(path.stem)


def _below(folder: Path, results: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if path.resolve() != results:
                yield from _below(path, results)
        elif entry.is_file() and path.suffix.lower().removeprefix(".") in SUFFIXES:
            yield path


def run(inputs: Iterable[Path], folder: Path, options: Options, spread: Spread) -> Iterator[Outcome]:
    """Prepare every recording named or found into `folder`; gives what became of each, as they are done.

    Raises:
        OutputError: the folder cannot be used.
    """
    with Manifest(folder) as manifest:
        for task, result in spread(do, _tasks(inputs, folder, options, manifest)):
            outcome = _crashed(task, result) if isinstance(result, Crash) else result
            if outcome.known and outcome.state == "done":
                manifest.record(task.name, outcome.known)
            yield outcome


def _tasks(inputs: Iterable[Path], folder: Path, options: Options, manifest: Manifest) -> Iterator[Task]:
    for source, place in recordings(inputs, folder):
        name = next(name for name in _names(place, source.suffix) if manifest.claim(name))
        known = manifest.known(name)
        yield Task(source=source, output=folder / name, name=name, options=options, known=known)


def _names(place: Path, suffix: str) -> Iterator[str]:
    """`talk.wav`; `talk.mp3.wav` when another talk has that; then `talk-2.wav` and so on."""
    yield f"{place}.wav"
    yield f"{place}{suffix}.wav"
    number = 2
    while True:
        yield f"{place}-{number}.wav"
        number += 1


def do(task: Task) -> Outcome:
    """One task; a recording that cannot be prepared is an outcome too."""
    source, output = str(task.source), str(task.output)
    try:
        known = _known(task)
        if known == task.known and task.output.is_file() and content_hash(task.output) == known.output_hash:
            return Outcome(source=source, output=output, state="unchanged", known=known)
        return _done(prepare(task.source, task.output, task.options), task, known)
    except LiveAvatarError as error:
        return Outcome(source=source, output=output, state="failed", error=error.problem, remedy=error.remedy)


def _known(task: Task) -> Known:
    """What would be known of the result if it were the one made before."""
    made_with = f"{VERSION} {task.options}"
    readable = task.source.is_file() and os.access(task.source, os.R_OK)
    return Known(
        source=str(task.source),
        source_hash=content_hash(task.source) if readable else "",
        output_hash=task.known.output_hash if task.known else "",
        options=made_with,
    )


def _done(prepared: Prepared, task: Task, known: Known) -> Outcome:
    made = Known(
        source=known.source,
        source_hash=known.source_hash,
        output_hash=content_hash(task.output),
        options=known.options,
    )
    return Outcome(
        source=str(task.source),
        output=str(task.output),
        state="done",
        seconds=float(prepared.report.duration),
        mended=prepared.mended,
        left=tuple(asdict(finding) for finding in prepared.report.left),
        measured=as_object(prepared.report),
        known=made,
    )


def _crashed(task: Task, crash: Crash) -> Outcome:
    part_of(task.output).unlink(missing_ok=True)
    how = signal.Signals(-crash.code).name if crash.code < 0 else f"code {crash.code}"
    return Outcome(
        source=str(task.source),
        output=str(task.output),
        state="failed",
        error=f"{task.source.name} stopped the program that reads it ({how})",
        remedy="convert it to WAV or MP3 with another program",
    )

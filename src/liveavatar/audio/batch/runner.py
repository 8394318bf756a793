"""Prepares many recordings. Folders keep their tree, unchanged files are skipped, a failure stops no other file."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from liveavatar.audio.analysis.report_json import audio_report_to_json
from liveavatar.audio.batch.manifest import Manifest, ManifestEntry, hash_file
from liveavatar.audio.batch.pool import WorkerCrash
from liveavatar.audio.batch.prepare import (
    PreparationOptions,
    PreparedRecording,
    prepare_recording,
)
from liveavatar.errors import LiveAvatarError
from liveavatar.partials import remove_dead_partials

RECORDING_SUFFIXES = frozenset(
    suffix
    for family in (
        "wav w64 rf64 aif aifc aiff au snd caf flac alac ape tta wv",
        "mp3 mp2 aac m4a m4b ogg oga opus spx wma amr 3gp ac3 eac3 dts gsm g722 ra",
        "mp4 m4v mov mkv mka webm avi flv wmv mpg mpeg ts vob ogv mxf",
    )
    for suffix in family.split()
)
"""Suffixes of recordings in a folder. A file given by itself may have any suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationTask:
    """One recording to prepare; `name` is the path of the result below the output folder."""

    source: Path
    output: Path
    name: str
    options: PreparationOptions
    entry: ManifestEntry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationOutcome:
    """The result of one task, in plain values: it is sent between processes and written as JSON."""

    source: str
    output: str
    state: Literal["done", "unchanged", "failed"]
    seconds: float = 0.0
    mended: tuple[str, ...] = ()
    left: tuple[dict[str, str], ...] = ()
    error: str = ""
    remedy: str = ""
    measured: dict[str, Any] | None = None
    entry: ManifestEntry | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, without empty ones."""
        values = asdict(self)
        entry = values.pop("entry") or {}
        hashes = {name: entry[name] for name in ("source_hash", "output_hash") if entry}
        return {name: value for name, value in values.items() if value not in ("", None)} | hashes


TaskRunner = Callable[
    [Callable[[PreparationTask], PreparationOutcome], Iterable[PreparationTask]],
    Iterator[tuple[PreparationTask, PreparationOutcome | WorkerCrash]],
]
"""Runs tasks in any order and yields each with its result: `pool.run_in_processes` or `ray_data.run_on_ray`."""


def find_recordings(inputs: Iterable[Path], output_folder: Path) -> Iterator[tuple[Path, Path]]:
    """Every recording given or found in a folder, with its path below `output_folder` without suffix."""
    for path in inputs:
        if path.is_dir():
            for found in _walk_folder(path, output_folder.resolve()):
                yield found, found.relative_to(path).with_suffix("")
        else:
            yield path, Path(path.stem)


def _walk_folder(folder: Path, output_folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if path.resolve() != output_folder:
                yield from _walk_folder(path, output_folder)
        elif entry.is_file() and path.suffix.lower().removeprefix(".") in RECORDING_SUFFIXES:
            yield path


def prepare_batch(
    inputs: Iterable[Path], output_folder: Path, options: PreparationOptions, run_tasks: TaskRunner
) -> Iterator[PreparationOutcome]:
    """Prepare every recording given or found into `output_folder`; yields an outcome for each as it is completed.

    Raises:
        OutputError: the folder cannot be used.
    """
    with Manifest(output_folder) as manifest:
        for task, result in run_tasks(
            run_preparation_task, _plan_tasks(inputs, output_folder, options, manifest)
        ):
            outcome = _crash_to_outcome(task, result) if isinstance(result, WorkerCrash) else result
            if outcome.entry and outcome.state == "done":
                manifest.record_entry(task.name, outcome.entry)
            yield outcome


def _plan_tasks(
    inputs: Iterable[Path], output_folder: Path, options: PreparationOptions, manifest: Manifest
) -> Iterator[PreparationTask]:
    for source, place in find_recordings(inputs, output_folder):
        name = next(name for name in _candidate_names(place, source.suffix) if manifest.claim_output(name))
        yield PreparationTask(
            source=source,
            output=output_folder / name,
            name=name,
            options=options,
            entry=manifest.find_entry(name),
        )


def _candidate_names(place: Path, suffix: str) -> Iterator[str]:
    """`talk.wav`; `talk.mp3.wav` if that is taken; then `talk-2.wav` and so on."""
    yield f"{place}.wav"
    yield f"{place}{suffix}.wav"
    number = 2
    while True:
        yield f"{place}-{number}.wav"
        number += 1


def run_preparation_task(task: PreparationTask) -> PreparationOutcome:
    """Prepare one recording; a failure is an outcome too."""
    source, output = str(task.source), str(task.output)
    try:
        entry = _expected_entry(task)
        if entry == task.entry and task.output.is_file() and hash_file(task.output) == entry.output_hash:
            return PreparationOutcome(source=source, output=output, state="unchanged", entry=entry)
        return _build_outcome(prepare_recording(task.source, task.output, task.options), task, entry)
    except LiveAvatarError as error:
        return PreparationOutcome(
            source=source, output=output, state="failed", error=error.problem, remedy=error.remedy
        )


def _expected_entry(task: PreparationTask) -> ManifestEntry:
    """The manifest entry of the result if nothing has changed since the last run."""
    readable = task.source.is_file() and os.access(task.source, os.R_OK)
    return ManifestEntry(
        source=str(task.source),
        source_hash=hash_file(task.source) if readable else "",
        output_hash=task.entry.output_hash if task.entry else "",
        options=task.options.to_manifest_text(),
    )


def _build_outcome(
    prepared: PreparedRecording, task: PreparationTask, entry: ManifestEntry
) -> PreparationOutcome:
    return PreparationOutcome(
        source=str(task.source),
        output=str(task.output),
        state="done",
        seconds=float(prepared.report.duration),
        mended=prepared.repairs,
        left=tuple(asdict(finding) for finding in prepared.report.remaining_findings),
        measured=audio_report_to_json(prepared.report),
        entry=replace(entry, output_hash=hash_file(task.output)),
    )


def _crash_to_outcome(task: PreparationTask, crash: WorkerCrash) -> PreparationOutcome:
    remove_dead_partials(task.output.parent)
    how = signal.Signals(-crash.exit_code).name if crash.exit_code < 0 else f"code {crash.exit_code}"
    return PreparationOutcome(
        source=str(task.source),
        output=str(task.output),
        state="failed",
        error=f"{task.source.name} stopped the program that reads it ({how})",
        remedy="convert it to WAV or MP3 with another program",
    )

"""Prepares many recordings. Folders keep their tree, unchanged files are skipped, a failure stops no other file.

Processes write results into scratch files; this one gives them their names (`results`).
"""

import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from liveavatar.audio.analysis.report_json import audio_report_to_json
from liveavatar.audio.batch.manifest import ManifestEntry, hash_file
from liveavatar.audio.batch.prepare import PreparationOptions, PreparedRecording, prepare_recording
from liveavatar.audio.batch.results import (
    PlannedResult,
    ResultFolder,
    hash_readable_file,
    identify_source,
    open_result_folder,
)
from liveavatar.audio.batch.search import FoundRecording, find_recordings
from liveavatar.audio.batch.worker_process import WorkerCrash
from liveavatar.errors import AudioError, LiveAvatarError, OutputError
from liveavatar.files import describe_path, explain_system_error, require_regular_file

OutcomeState = Literal["done", "unchanged", "failed"]
"""What became of a recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationTask:
    """One recording to prepare into a scratch file. `output` has the result of an earlier run, if there is an entry."""

    recording: FoundRecording
    output: Path
    result: PlannedResult
    options: PreparationOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationOutcome:
    """The result of one task, in plain values: it is sent between processes and written as JSON."""

    source: str
    output: str
    state: OutcomeState
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


def prepare_batch(
    inputs: Iterable[Path], output_folder: Path, options: PreparationOptions, run_tasks: TaskRunner
) -> Generator[PreparationOutcome, None, None]:
    """Prepare every recording given or found into `output_folder`; yields an outcome for each as it is completed.

    Raises:
        OutputError: the folder cannot be used.
    """
    with open_result_folder(output_folder) as results:
        tasks = _plan_tasks(inputs, output_folder, options, results)
        for task, result in run_tasks(run_preparation_task, tasks):
            outcome = _crash_to_outcome(task, result) if isinstance(result, WorkerCrash) else result
            yield _store_outcome(task, outcome, results)


def count_recordings(inputs: Iterable[Path], output_folder: Path) -> int:
    """The number of recordings that `prepare_batch` would find.

    Raises:
        OutputError: the folder cannot be used.
    """
    with open_result_folder(output_folder) as results:
        return sum(1 for _ in find_recordings(inputs, output_folder, results.is_result))


def _plan_tasks(
    inputs: Iterable[Path], output_folder: Path, options: PreparationOptions, results: ResultFolder
) -> Iterator[PreparationTask]:
    for recording in find_recordings(inputs, output_folder, results.is_result):
        result = results.plan_result(recording)
        if result is not None:
            output = output_folder / result.name
            yield PreparationTask(recording=recording, output=output, result=result, options=options)


def _store_outcome(
    task: PreparationTask, outcome: PreparationOutcome, results: ResultFolder
) -> PreparationOutcome:
    """Give a result its name and record it."""
    try:
        if outcome.state == "unchanged":
            results.adopt_result(task.recording, task.result)
        if outcome.entry is not None and outcome.state == "done":
            output = results.publish_result(task.recording, task.result.scratch, outcome.entry)
            return replace(outcome, output=str(output))
    except OutputError as error:
        return _build_failure(task, error)
    finally:
        results.discard_scratch(task.result)
    return outcome


def run_preparation_task(task: PreparationTask) -> PreparationOutcome:
    """Prepare one recording into its scratch file; a failure is an outcome too."""
    recording, old = task.recording, task.result.entry
    try:
        if recording.refusal is not None:
            raise recording.refusal
        require_regular_file(recording.source, AudioError, "recording")
        entry = _build_entry(task)
        if old is not None and _is_unchanged(entry, old, task.output):
            return _build_outcome(task, "unchanged", entry=replace(entry, output_hash=old.output_hash))
        prepared = prepare_recording(recording.source, task.result.scratch, task.options)
        return _describe_prepared(task, prepared, entry)
    except LiveAvatarError as error:
        return _build_failure(task, error)
    except (OSError, MemoryError) as error:
        return _build_failure(task, explain_system_error(error))


def _build_entry(task: PreparationTask) -> ManifestEntry:
    """The manifest entry of a result, but for its hash."""
    source = task.recording.source
    return ManifestEntry(
        source=identify_source(source),
        source_hash=hash_readable_file(source),
        output_hash="",
        options=task.options.to_manifest_text(),
    )


def _is_unchanged(entry: ManifestEntry, old: ManifestEntry, output: Path) -> bool:
    """Whether the recording, the options and the result are those of an earlier run."""
    if (entry.source_hash, entry.options) != (old.source_hash, old.options):
        return False
    return hash_readable_file(output) == old.output_hash


def _describe_prepared(
    task: PreparationTask, prepared: PreparedRecording, entry: ManifestEntry
) -> PreparationOutcome:
    return _build_outcome(
        task,
        "done",
        seconds=float(prepared.report.duration),
        mended=prepared.repairs,
        left=tuple(asdict(finding) for finding in prepared.report.remaining_findings),
        measured=audio_report_to_json(prepared.report),
        entry=replace(entry, output_hash=hash_file(task.result.scratch)),
    )


def _build_failure(task: PreparationTask, error: LiveAvatarError) -> PreparationOutcome:
    problem = error.problem.replace(str(task.result.scratch), str(task.output))
    return _build_outcome(task, "failed", error=problem, remedy=error.remedy)


def _crash_to_outcome(task: PreparationTask, crash: WorkerCrash) -> PreparationOutcome:
    how = signal.Signals(-crash.exit_code).name if crash.exit_code < 0 else f"code {crash.exit_code}"
    name = describe_path(task.recording.source.name)
    error = f"{name} stopped the program that reads it ({how})"
    return _build_outcome(task, "failed", error=error, remedy="convert it to WAV or MP3 with another program")


def _build_outcome(task: PreparationTask, state: OutcomeState, **values: Any) -> PreparationOutcome:
    source = str(task.recording.source)
    return PreparationOutcome(source=source, output=str(task.output), state=state, **values)

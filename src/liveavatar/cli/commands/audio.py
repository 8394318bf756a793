"""`liveavatar audio`: check recordings, repair them, and run another program on a repaired recording."""

import functools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.report_json import audio_report_to_json
from liveavatar.audio.batch import pool, ray_data, runner
from liveavatar.audio.batch.naming import list_candidate_names
from liveavatar.audio.batch.prepare import PreparationOptions
from liveavatar.audio.batch.runner import PreparationOutcome
from liveavatar.audio.batch.search import find_path_type, has_recording_suffix
from liveavatar.audio.dsp import denoise
from liveavatar.audio.front_end import check_and_correct_rate, check_recording
from liveavatar.cli.output import (
    EXIT_FAILED,
    EXIT_NEEDS_WORK,
    LEVEL_STYLES,
    LEVEL_VERDICTS,
    SoundTrack,
    error_to_object,
    print_json,
    print_message,
    print_repairs,
    print_unreadable,
    print_verdict,
    stderr_console,
)
from liveavatar.cli.process.paths import PATH_METAVAR, parse_path
from liveavatar.cli.progress import show_stage
from liveavatar.errors import AudioError, OptionError, OutputError
from liveavatar.files import atomic_write, check_output_path, describe_path, require_regular_file
from liveavatar.plotting import check_plot_path
from liveavatar.report import find_worst_level

app = typer.Typer(help="Check and repair recordings.", no_args_is_help=True)

TrueRate = Annotated[
    int | None,
    typer.Option(min=1_000, max=768_000, help="The sample rate in Hz, where the file's header is wrong."),
]

_REPORT_START = '{"files": [\n'
"""The first bytes of every report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingInspection:
    """The check of one recording: either `report` or `error`."""

    file: Path
    report: AudioReport | None = None
    error: AudioError | None = None


@app.callback()
def _audio_callback() -> None:
    """Check and repair recordings."""


@app.command("check")
def check_recordings(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", parser=parse_path, help="Recordings: anything FFmpeg reads."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw waveform, speech and spectrogram into a PNG.", parser=parse_path, metavar=PATH_METAVAR
        ),
    ] = None,
    true_rate: TrueRate = None,
    track: SoundTrack = None,
) -> None:
    """Report the faults of recordings, and the command that repairs them.

    Exit code 0: all are ready; 1: one needs work; 2: one cannot be read.
    """
    if plot and len(files) > 1:
        raise OptionError("--plot works on one recording", "name one file")
    if plot:
        check_plot_path(plot, {"the recording": files[0]})
    results = [_inspect_recording(file, true_rate, track) for file in files]
    if as_json:
        print_json({"recordings": [_recording_to_object(result) for result in results]})
    else:
        for result in results:
            _print_recording(result)
    if plot and results[0].report:
        from liveavatar.audio.analysis.plot import plot_recording

        with show_stage("drawing"):
            plot_recording(results[0].report, plot)
        print_message(f"wrote {plot}")
    if any(result.error for result in results):
        raise typer.Exit(EXIT_FAILED)
    if any(result.report and find_worst_level(result.report.findings) != "ok" for result in results):
        raise typer.Exit(EXIT_NEEDS_WORK)


@app.command("prepare")
def prepare_recordings(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="FILE|DIR", parser=parse_path, help="Recordings, and folders of them."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The folder for the results.", parser=parse_path, metavar=PATH_METAVAR
        ),
    ],
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes to run at a time; by default one for each core.")
    ] = None,
    use_denoiser: Annotated[bool, typer.Option("--denoise", help="Reduce noise with RNNoise.")] = False,
    true_rate: TrueRate = None,
    track: SoundTrack = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write the outcome of each file into this JSON file.",
            parser=parse_path,
            metavar=PATH_METAVAR,
        ),
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Run on a Ray cluster.")] = False,
) -> None:
    """Convert recordings to 16 kHz mono 16-bit WAV of even loudness. Files prepared before and unchanged are skipped.

    Exit code 0: all are prepared; 1: some failed; 2: all failed, or wrong usage.
    """
    if use_denoiser:
        denoise.load_rnnoise()
    _check_prepare_paths(inputs, output)
    if report is not None:
        _check_report_path(report, inputs)
    options = PreparationOptions(denoise=use_denoiser, true_rate=true_rate, track=track)
    run_tasks = _choose_task_runner(jobs, ray)
    if not (file_count := runner.count_recordings(inputs, output)):
        print_message("there is nothing to prepare: no recording, or results of earlier runs only")
    tally = OutcomeTally()
    with (
        _file_bar(file_count) as advance_bar,
        _open_report(report) as write_outcome,
        closing(runner.prepare_batch(inputs, output, options, run_tasks)) as outcomes,
    ):
        for outcome in outcomes:
            tally.count_outcome(outcome)
            write_outcome(outcome)
            advance_bar(outcome)
    tally.print_table()
    if failed := tally.state_counts["failed"]:
        raise typer.Exit(EXIT_NEEDS_WORK if tally.state_counts.total() > failed else EXIT_FAILED)


@app.command("guard")
def guard_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=parse_path, help="The recording.")],
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="-- COMMAND", help="The program to run; {audio} becomes the recording's path."
        ),
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a recording that needs repair.")] = False,
    true_rate: TrueRate = None,
    track: SoundTrack = None,
) -> None:
    """Repair a recording, then run another program on it: liveavatar audio guard talk.m4a -- python run.py {audio}.

    Exit code: that of the program; 2 if the recording cannot be read, or is refused.
    """
    from liveavatar.audio.batch import guard

    with show_stage(f"analysing {file}"):
        report = (check_recording if strict else check_and_correct_rate)(file, "fix", true_rate, track)
    if strict:
        guard.require_ready_recording(report, "leave out --strict")
        report = replace(report, fixes=())
    print_repairs(report)
    raise typer.Exit(guard.run_guarded_command(report, command, fix=not strict))


def _inspect_recording(file: Path, true_rate: int | None, track: int | None) -> RecordingInspection:
    """Check one recording; an error is kept, so that the others are still checked."""
    with show_stage(f"analysing {file}"):
        try:
            return RecordingInspection(file=file, report=check_recording(file, "fix", true_rate, track))
        except AudioError as error:
            return RecordingInspection(file=file, error=error)


def _recording_to_object(result: RecordingInspection) -> dict[str, Any]:
    if result.error is not None:
        return error_to_object(result.file, result.error)
    return audio_report_to_json(result.report) if result.report else {}


def _print_recording(result: RecordingInspection) -> None:
    """Print the verdict, the format, and each finding with its remedy below."""
    if result.error is not None:
        print_unreadable(result.file, result.error)
    if result.report is not None:
        _print_report(result.file, result.report)


def _print_report(file: Path, report: AudioReport) -> None:
    console, level = Console(), find_worst_level(report.findings)
    print_verdict(file, LEVEL_VERDICTS[level], LEVEL_STYLES[level])
    console.print(Text(f"  {_describe_recording(report)}", "dim"), soft_wrap=True)
    for finding in report.findings:
        level_column = f"{finding.level:4}", LEVEL_STYLES[finding.level]
        console.print(
            Text.assemble("  ", level_column, f"  {finding.name:10} {finding.sentence}"), soft_wrap=True
        )
        if finding.remedy:
            console.print(Text(f"                   → {finding.remedy}", "italic"), soft_wrap=True)


def _describe_recording(report: AudioReport) -> str:
    """Codec, container, rate, channels, duration and levels in one line."""
    values = audio_report_to_json(report)
    seconds = f"{values['decoded_seconds']:.2f} s decoded"
    if values["container_seconds"] is not None:
        seconds += f", {values['container_seconds']:.2f} s by the container"
    parts = [
        f"{values['codec']} in {values['container']}, {values['declared_rate']} Hz, {report.info.channels_text}",
        seconds,
    ]
    for name, form in (
        ("loudness_lufs", "{:.1f} LUFS"),
        ("true_peak_dbtp", "true peak {:+.1f} dBTP"),
        ("noise_db", "noise floor {:.0f} dB"),
    ):
        if values[name] is not None:
            parts.append(form.format(values[name]))
    return "; ".join(parts)


def _check_prepare_paths(inputs: Iterable[Path], output: Path) -> None:
    """Refuse missing inputs and an output that is a file, before any work is done."""
    for path in inputs:
        if find_path_type(path) is None:
            require_regular_file(path, AudioError, "recording")
    if find_path_type(output) in {"file", "other"}:
        raise OutputError(f"{describe_path(output)} is not a folder", "choose another folder")


def _check_report_path(report: Path, inputs: Iterable[Path]) -> None:
    """Refuse a report that would replace anything but a report, or have the name of a recording.

    Raises:
        OutputError: it would.
    """
    name = describe_path(report)
    if has_recording_suffix(report):
        raise OutputError(f"the report {name} has the name of a recording", "name it report.json")
    if find_path_type(report) is not None:
        check_output_path(report, {f"the input {describe_path(path)}": path for path in inputs})
        if not _is_report(report):
            raise OutputError(
                f"{name} is another file, not a report of an earlier run", "choose another name"
            )


def _is_report(path: Path) -> bool:
    """Whether a file is empty or begins as `_open_report` writes it."""
    try:
        with path.open("rb") as file:
            return file.read(len(_REPORT_START)) in {b"", _REPORT_START.encode()}
    except OSError:
        return False


def _choose_task_runner(jobs: int | None, ray: bool) -> runner.TaskRunner:
    """A Ray cluster, or as many processes as `jobs` or this process's cores."""
    if ray:
        ray_data.import_ray_data()
        return ray_data.run_on_ray
    return functools.partial(pool.run_in_processes, jobs=jobs or len(os.sched_getaffinity(0)))


@contextmanager
def _file_bar(total: int) -> Iterator[Callable[[PreparationOutcome], None]]:
    """Show a progress bar over files, and a line for each failure; yields what to call with each outcome."""
    columns = (
        TextColumn("[bold]preparing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr_console, transient=True) as bar:
        task = bar.add_task("preparing", total=total)

        def advance_bar(outcome: PreparationOutcome) -> None:
            bar.advance(task)
            if outcome.state == "failed":
                source = describe_path(outcome.source)
                print_message(f"{source}: {outcome.error}; {outcome.remedy}", "failed:", "red")
            elif outcome.state == "done":
                _print_unusual_name(Path(outcome.source), Path(outcome.output))

        yield advance_bar


def _print_unusual_name(source: Path, output: Path) -> None:
    """Say that a result could not have the name that one expects."""
    if output.name != next(list_candidate_names(Path(source.stem), source.suffix)).name:
        names = f"{describe_path(source)} becomes {describe_path(output)}"
        print_message(f"{names}: the shorter name is taken", "named:", "yellow")


@contextmanager
def _open_report(path: Path | None) -> Iterator[Callable[[PreparationOutcome], None]]:
    """Yield what writes an outcome into the JSON file at `path`; the file appears complete or not at all."""
    if path is None:
        yield lambda _outcome: None
        return
    with atomic_write(path) as partial, _open_report_file(partial) as file:
        separator = _REPORT_START

        def write_outcome(outcome: PreparationOutcome) -> None:
            nonlocal separator
            file.write(separator + json.dumps(outcome.to_json(), ensure_ascii=False))
            separator = ",\n"

        yield write_outcome
        file.write("\n]}\n" if separator == ",\n" else f"{separator}]}}\n")


def _open_report_file(path: Path) -> TextIO:
    """Open a file for JSON; in names that are no UTF-8 the bytes become the escapes that JSON has for them."""
    return path.open("w", encoding="utf-8", errors="backslashreplace")


class OutcomeTally:
    """Counts outcomes of a batch by state, and the findings that remain."""

    def __init__(self) -> None:
        self.state_counts: Counter[str] = Counter()
        self.finding_counts: Counter[str] = Counter()
        self._seconds = 0.0
        self._started = time.perf_counter()

    def count_outcome(self, outcome: PreparationOutcome) -> None:
        """Add one outcome."""
        self.state_counts[outcome.state] += 1
        self.finding_counts.update(finding["name"] for finding in outcome.left)
        self._seconds += outcome.seconds

    def print_table(self) -> None:
        """Print the counts and the speed on stdout."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for state, style in (("done", "green"), ("unchanged", "dim"), ("failed", "red")):
            table.add_row(Text(state, style), str(self.state_counts[state]))
        if self._seconds:
            elapsed = time.perf_counter() - self._started
            speed = f"{self._seconds / elapsed:.0f}x real time"
            table.add_row("sound", f"{self._seconds / 60:.1f} min in {elapsed:.1f} s ({speed})")
        for name, count in self.finding_counts.most_common():
            table.add_row(Text(f"left: {name}", "yellow"), f"{count} files; see: liveavatar audio check")
        Console().print(table, highlight=False)

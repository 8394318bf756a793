"""`liveavatar audio`: look at recordings, mend them, and run any other program on a mended one."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.report_json import audio_report_to_json
from liveavatar.audio.batch import pool, ray_data, runner
from liveavatar.audio.batch.prepare import PreparationOptions
from liveavatar.audio.batch.runner import PreparationOutcome
from liveavatar.audio.dsp import denoise
from liveavatar.audio.front_end import check_and_correct_rate
from liveavatar.audio.front_end import check_recording as examine_file
from liveavatar.cli.progress import show_stage, stderr_console
from liveavatar.errors import AudioError, OptionError, OutputError
from liveavatar.files import atomic_write
from liveavatar.report import find_worst_level

app = typer.Typer(help="Look at recordings, and mend them.", no_args_is_help=True)

EXIT_NEEDS_WORK, EXIT_FAILED = 1, 2
_LEVEL_COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}
_LEVEL_VERDICTS = {"ok": "ready", "warn": "usable, could be better", "bad": "needs work"}

TrueRate = Annotated[
    int | None,
    typer.Option(min=1_000, max=768_000, help="Sample rate in Hz, where the file tells a wrong one."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingInspection:
    """What became of one recording: either `report` or `error`."""

    file: Path
    report: AudioReport | None = None
    error: AudioError | None = None


@app.callback()
def _audio_callback() -> None:
    """Look at recordings, and mend them."""


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings: anything FFmpeg reads.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw waveform, speech and spectrogram into a PNG.")
    ] = None,
    true_rate: TrueRate = None,
) -> None:
    """Report what is wrong with recordings, and the one command that mends it.

    Exit code 0: all ready; 1: something needs work; 2: a recording cannot be read.
    """
    if plot and len(files) > 1:
        raise OptionError("--plot works on one recording", "name one file")
    results = [_inspect_recording(file, true_rate) for file in files]
    if as_json:
        print(
            json.dumps(
                {"recordings": [_recording_to_object(result) for result in results]}, ensure_ascii=False
            )
        )
    else:
        for result in results:
            _print_recording(result)
    if plot and results[0].report:
        from liveavatar.audio.analysis.plot import plot_recording

        with show_stage("drawing"):
            plot_recording(results[0].report, plot)
        _print_markup(f"wrote {escape(str(plot))}")
    if any(result.error for result in results):
        raise typer.Exit(AudioError.exit_code)
    if any(result.report and find_worst_level(result.report.findings) != "ok" for result in results):
        raise typer.Exit(EXIT_NEEDS_WORK)


@app.command()
def prepare(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="FILE|DIR…", help="Recordings, and folders of them.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the results.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes at a time; as many as cores.")] = None,
    take_noise_out: Annotated[bool, typer.Option("--denoise", help="Take noise out with RNNoise.")] = False,
    true_rate: TrueRate = None,
    report: Annotated[Path | None, typer.Option(help="Write what was done with each file as JSON.")] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Spread the work over a Ray cluster.")] = False,
) -> None:
    """Turn recordings into 16 kHz mono 16-bit WAV of even loudness. What is done and unchanged is left.

    Exit code 0: all are prepared; 1: some could not be; 2: none could be, or wrong usage.
    """
    if take_noise_out:
        denoise.load_rnnoise()
    _check_prepare_paths(inputs, output)
    options = PreparationOptions(denoise=take_noise_out, true_rate=true_rate)
    spread = (
        _load_ray_spread()
        if ray
        else partial(pool.run_in_processes, jobs=jobs or len(os.sched_getaffinity(0)))
    )
    tally = OutcomeTally()
    with (
        _file_bar(sum(1 for _ in runner.find_recordings(inputs, output))) as advance,
        _open_report(report) as write,
    ):
        for outcome in runner.prepare_batch(inputs, output, options, spread):
            tally.count_outcome(outcome)
            write(outcome)
            advance(outcome)
    tally.print_table()
    if tally.state_counts["failed"]:
        raise typer.Exit(
            EXIT_NEEDS_WORK if tally.state_counts.total() > tally.state_counts["failed"] else EXIT_FAILED
        )


@app.command("guard")
def guard_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recording.")],
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND …", help="What to run; {audio} stands for the recording."),
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Refuse instead of mending.")] = False,
    true_rate: TrueRate = None,
) -> None:
    """Mend a recording, then run any other program on it: liveavatar audio guard talk.m4a -- python run.py {audio}.

    Exit code: that of the program; 2 when the recording cannot be read, or is refused.
    """
    from liveavatar.audio.batch import guard
    from liveavatar.cli.generate import print_repairs

    with show_stage(f"listening to {escape(str(file))}"):
        report = (examine_file if strict else check_and_correct_rate)(file, "fix", true_rate)
    if strict:
        guard.require_ready_recording(report, "leave out --strict")
        report = replace(report, fixes=())
    print_repairs(report)
    raise typer.Exit(guard.run_guarded_command(report, command, fix=not strict))


def _print_markup(text: str) -> None:
    stderr_console.print(text, highlight=False, soft_wrap=True)


def _inspect_recording(file: Path, true_rate: int | None) -> RecordingInspection:
    """Look at one recording; an unreadable one does not stop the others."""
    with show_stage(f"listening to {escape(str(file))}"):
        try:
            return RecordingInspection(file=file, report=examine_file(file, "fix", true_rate))
        except AudioError as error:
            return RecordingInspection(file=file, error=error)


def _recording_to_object(result: RecordingInspection) -> dict[str, Any]:
    if result.report is not None:
        return audio_report_to_json(result.report)
    problem, remedy = (result.error.problem, result.error.remedy) if result.error else ("", "")
    return {"file": str(result.file), "error": problem, "remedy": remedy}


def _print_recording(result: RecordingInspection) -> None:
    """One recording: the verdict, what it is, then a line for each finding and, below it, what to do."""
    console, report = Console(), result.report
    level = find_worst_level(report.findings) if report else "bad"
    verdict = (_LEVEL_VERDICTS[level], _LEVEL_COLOURS[level]) if report else ("unreadable", "red")
    console.print(Text.assemble((str(result.file), "bold"), "  ", verdict), soft_wrap=True)
    if report is None:
        console.print(Text(f"  {result.error}"), soft_wrap=True)
        return
    console.print(Text(f"  {_describe_recording(report)}", "dim"), soft_wrap=True)
    for finding in report.findings:
        colour = _LEVEL_COLOURS[finding.level]
        console.print(
            Text.assemble("  ", (f"{finding.level:4}", colour), f"  {finding.name:10} {finding.sentence}"),
            soft_wrap=True,
        )
        if finding.remedy:
            console.print(Text(f"                   → {finding.remedy}", "italic"), soft_wrap=True)


def _describe_recording(report: AudioReport) -> str:
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
    """Refuse what can only be a slip, before any work is done."""
    for path in inputs:
        if not path.exists():
            raise AudioError(f"there is no file or folder {path}", "check the path")
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is not a folder", "choose another folder")


def _load_ray_spread() -> runner.TaskRunner:
    ray_data.import_ray_data()
    return ray_data.run_on_ray


@contextmanager
def _file_bar(total: int) -> Iterator[Callable[[PreparationOutcome], None]]:
    """A bar over files, with a line for each that failed."""
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
                _print_markup(
                    f"[red]failed:[/] {escape(outcome.source)}: {escape(outcome.error)}; {escape(outcome.remedy)}"
                )

        yield advance_bar


@contextmanager
def _open_report(path: Path | None) -> Iterator[Callable[[PreparationOutcome], None]]:
    """Writes outcomes into one JSON object as they come; the file appears whole or not at all."""
    if path is None:
        yield lambda _outcome: None
        return
    with atomic_write(path) as part, part.open("w", encoding="utf-8") as file:
        separator = '{"files": [\n'

        def write_outcome(outcome: PreparationOutcome) -> None:
            nonlocal separator
            file.write(separator + json.dumps(outcome.to_json(), ensure_ascii=False))
            separator = ",\n"

        yield write_outcome
        file.write("\n]}\n" if separator == ",\n" else f"{separator}]}}\n")


class OutcomeTally:
    """Counts what became of recordings, to be shown in the end."""

    def __init__(self) -> None:
        self.state_counts: Counter[str] = Counter()
        self.finding_counts: Counter[str] = Counter()
        self._seconds = 0.0
        self._started = time.perf_counter()

    def count_outcome(self, outcome: PreparationOutcome) -> None:
        """Add one."""
        self.state_counts[outcome.state] += 1
        self.finding_counts.update(finding["name"] for finding in outcome.left)
        self._seconds += outcome.seconds

    def print_table(self) -> None:
        """The table, on stdout."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for state, colour in (("done", "green"), ("unchanged", "dim"), ("failed", "red")):
            table.add_row(Text(state, colour), str(self.state_counts[state]))
        if self._seconds:
            took = time.perf_counter() - self._started
            speed = f"{self._seconds / took:.0f}x real time"
            table.add_row("sound", f"{self._seconds / 60:.1f} min in {took:.1f} s ({speed})")
        for name, count in self.finding_counts.most_common():
            table.add_row(Text(f"left: {name}", "yellow"), f"{count} files; see: liveavatar audio check")
        Console().print(table, highlight=False)

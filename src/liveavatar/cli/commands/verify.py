"""`liveavatar verify`: which marks of a program a video has."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liveavatar.cli.output import (
    EXIT_FAILED,
    LEVEL_STYLES,
    error_to_object,
    print_json,
    print_unreadable,
    print_verdict,
)
from liveavatar.cli.process.paths import parse_path
from liveavatar.cli.progress import show_stage
from liveavatar.errors import VideoError
from liveavatar.provenance.inspection import MarkReport, inspect_marks, list_mark_findings

EXIT_UNMARKED = 1
"""A video has no mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkInspection:
    """The check of one video: either `report` or `error`."""

    video: Path
    report: MarkReport | None = None
    error: VideoError | None = None


def verify(
    videos: Annotated[
        list[Path],
        typer.Argument(metavar="VIDEO", parser=parse_path, help="Videos by this or another program."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look for the marks of a program: AIGC tag, comment, content credentials (C2PA), watermark.

    A video without marks may still be made by a program: all but the watermark are easily removed.
    Visible labels are not looked for.

    Exit code 0: all have marks; 1: one has none; 2: one cannot be read.
    """
    results = [_inspect_video(video) for video in videos]
    if as_json:
        print_json({"videos": [_inspection_to_object(result) for result in results]})
    else:
        for result in results:
            _print_inspection(result)
    if any(result.error for result in results):
        raise typer.Exit(EXIT_FAILED)
    if any(result.report and not result.report.is_marked for result in results):
        raise typer.Exit(EXIT_UNMARKED)


def _inspect_video(video: Path) -> MarkInspection:
    """Check one video; an error is kept, so that the others are still checked."""
    with show_stage(f"reading {video}"):
        try:
            return MarkInspection(video=video, report=inspect_marks(video))
        except VideoError as error:
            return MarkInspection(video=video, error=error)


def _inspection_to_object(result: MarkInspection) -> dict[str, Any]:
    if result.error is not None:
        return error_to_object(result.video, result.error)
    if result.report is None:
        return {}
    report = result.report
    marks = asdict(report)
    del marks["video"]
    marks["watermark"]["is_found"] = report.watermark.is_found
    return (
        {"file": str(report.video)}
        | marks
        | {
            "verdict": report.verdict,
            "is_marked": report.is_marked,
            "contradictions": list(report.contradictions),
            "findings": [asdict(finding) for finding in list_mark_findings(report)],
        }
    )


def _print_inspection(result: MarkInspection) -> None:
    if result.error is not None:
        print_unreadable(result.video, result.error)
    if result.report is not None:
        _print_report(result.report)


def _print_report(report: MarkReport) -> None:
    """Print the verdict, what each mark says, and what contradicts."""
    findings = list_mark_findings(report)
    is_doubtful = report.contradictions or any(finding.level == "bad" for finding in findings)
    style = "yellow" if is_doubtful or not report.is_marked else "green"
    print_verdict(report.video, report.verdict, style)
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=False)
    for finding in findings:
        table.add_row(Text(finding.name, LEVEL_STYLES[finding.level]), Text(finding.sentence))
        if finding.remedy:
            table.add_row("", Text(f"→ {finding.remedy}", "italic"))
    for sentence in report.contradictions:
        table.add_row(Text("contradiction", "red"), Text(sentence))
    Console().print(table, highlight=False)

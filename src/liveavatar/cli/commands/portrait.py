"""`liveavatar portrait check`: check whether a picture is fit to be animated."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liveavatar.cli.output import (
    EXIT_FAILED,
    EXIT_NEEDS_WORK,
    LEVEL_STYLES,
    LEVEL_VERDICTS,
    error_to_object,
    print_json,
    print_unreadable,
    print_verdict,
)
from liveavatar.cli.process.paths import parse_path
from liveavatar.cli.progress import show_stage
from liveavatar.errors import PortraitError
from liveavatar.face.inspection.measurements import PortraitReport, measure_portrait
from liveavatar.face.inspection.quality import judge_portrait_report
from liveavatar.face.portrait import load_portrait
from liveavatar.report import Finding, find_worst_level

app = typer.Typer(help="Check portraits.", no_args_is_help=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitInspection:
    """The check of one picture: either `report` and `findings`, or `error`."""

    image: Path
    report: PortraitReport | None = None
    findings: tuple[Finding, ...] = ()
    error: PortraitError | None = None


@app.callback()
def _portrait_callback() -> None:
    """Check portraits."""


@app.command("check")
def check_portraits(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", parser=parse_path, help="Pictures: JPEG, PNG, WebP, TIFF, …"),
    ],
    face: Annotated[
        int | None, typer.Option(help="The number of the face, 1 being the largest.", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Report face size, sharpness, pose, eyes, mouth, light and margins, with a remedy for each fault.

    Exit code 0: all are ready; 1: one needs work; 2: one cannot be read or has no usable face.
    """
    results = [inspect_portrait(image, face) for image in images]
    if as_json:
        print_json({"pictures": [_portrait_to_object(result) for result in results]})
    else:
        for result in results:
            _print_portrait(result)
    if any(result.error for result in results):
        raise typer.Exit(EXIT_FAILED)
    if any(find_worst_level(result.findings) != "ok" for result in results):
        raise typer.Exit(EXIT_NEEDS_WORK)


def inspect_portrait(image: Path, face: int | None) -> PortraitInspection:
    """Check one picture; an error is kept, so that the others are still checked."""
    with show_stage(f"analysing {image}"):
        try:
            report = measure_portrait(load_portrait(image, face))
        except PortraitError as error:
            return PortraitInspection(image=image, error=error)
    return PortraitInspection(image=image, report=report, findings=tuple(judge_portrait_report(report)))


def _portrait_to_object(result: PortraitInspection) -> dict[str, Any]:
    if result.error:
        return error_to_object(result.image, result.error)
    return {
        "file": str(result.image),
        "level": find_worst_level(result.findings),
        "findings": [asdict(finding) for finding in result.findings],
        "measured": asdict(result.report) if result.report else None,
    }


def _print_portrait(result: PortraitInspection) -> None:
    """Print the verdict, and each finding with its remedy below."""
    if result.error:
        print_unreadable(result.image, result.error)
        return
    level = find_worst_level(result.findings)
    print_verdict(result.image, LEVEL_VERDICTS[level], LEVEL_STYLES[level])
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=False)
    for finding in result.findings:
        level_text = Text(finding.level, LEVEL_STYLES[finding.level])
        table.add_row(level_text, finding.name, Text(finding.sentence))
        if finding.remedy:
            table.add_row("", "", Text(f"→ {finding.remedy}", "italic"))
    Console().print(table, highlight=False)

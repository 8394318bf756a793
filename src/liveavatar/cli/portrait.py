"""`liveavatar portrait check`: is a picture good enough to speak?"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from liveavatar.cli.progress import show_stage
from liveavatar.errors import PortraitError
from liveavatar.face.measurements import PortraitReport, measure_portrait
from liveavatar.face.portrait import load_portrait
from liveavatar.face.quality import judge_portrait_report
from liveavatar.report import Finding, find_worst_level

app = typer.Typer(help="Look at portraits before they speak.", no_args_is_help=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitInspection:
    """What became of one picture: either `report` and `findings`, or `error`."""

    image: Path
    report: PortraitReport | None = None
    findings: tuple[Finding, ...] = ()
    error: PortraitError | None = None


_LEVEL_COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}
_LEVEL_VERDICTS = {"ok": "ready", "warn": "usable, could be better", "bad": "needs work"}
EXIT_NEEDS_WORK = 1


@app.callback()
def _portrait_callback() -> None:
    """Look at portraits before they speak."""


@app.command()
def check(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE…", help="Pictures: JPEG, PNG, WebP, TIFF, …")
    ],
    face: Annotated[int | None, typer.Option(help="Which face, 1 being the largest.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Report face size, sharpness, pose, eyes, mouth, light and room, and what to do about each.

    Exit code 0: all ready; 1: something needs work; 2: a picture cannot be read or has no usable face.
    """
    results = [inspect_portrait(image, face) for image in images]
    if as_json:
        print(
            json.dumps({"pictures": [_portrait_to_object(result) for result in results]}, ensure_ascii=False)
        )
    else:
        for result in results:
            _print_portrait(result)
    if any(result.error for result in results):
        raise typer.Exit(PortraitError.exit_code)
    if any(find_worst_level(result.findings) != "ok" for result in results):
        raise typer.Exit(EXIT_NEEDS_WORK)


def inspect_portrait(image: Path, face: int | None) -> PortraitInspection:
    """Look at one picture; an unreadable one does not stop the others."""
    with show_stage(f"looking at {escape(str(image))}"):
        try:
            report = measure_portrait(load_portrait(image, face))
        except PortraitError as error:
            return PortraitInspection(image=image, error=error)
    return PortraitInspection(image=image, report=report, findings=tuple(judge_portrait_report(report)))


def _portrait_to_object(result: PortraitInspection) -> dict[str, Any]:
    if result.error:
        return {"file": str(result.image), "error": result.error.problem, "remedy": result.error.remedy}
    return {
        "file": str(result.image),
        "level": find_worst_level(result.findings),
        "findings": [asdict(finding) for finding in result.findings],
        "measured": asdict(result.report) if result.report else None,
    }


def _print_portrait(result: PortraitInspection) -> None:
    """One picture: a line with the verdict, then a line for each finding and, below it, what to do."""
    console = Console()
    level = find_worst_level(result.findings)
    verdict = ("unreadable", "red") if result.error else (_LEVEL_VERDICTS[level], _LEVEL_COLOURS[level])
    console.print(Text.assemble((str(result.image), "bold"), "  ", verdict), soft_wrap=True)
    if result.error:
        console.print(Text(f"  {result.error}"), soft_wrap=True)
        return
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=False)
    for finding in result.findings:
        table.add_row(Text(finding.level, _LEVEL_COLOURS[finding.level]), finding.name, finding.sentence)
        if finding.remedy:
            table.add_row("", "", Text(f"→ {finding.remedy}", "italic"))
    console.print(table, highlight=False)

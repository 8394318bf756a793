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

from liveavatar.cli.progress import stage
from liveavatar.errors import PortraitError
from liveavatar.face.measure import PortraitReport, measure
from liveavatar.face.portrait import load_portrait
from liveavatar.face.quality import find
from liveavatar.report import Finding, worst

app = typer.Typer(help="Look at portraits before they speak.", no_args_is_help=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What became of one picture: either `report` and `findings`, or `error`."""

    image: Path
    report: PortraitReport | None = None
    findings: tuple[Finding, ...] = ()
    error: PortraitError | None = None


_COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}
_VERDICTS = {"ok": "ready", "warn": "usable, could be better", "bad": "needs work"}
NEEDS_WORK = 1


@app.callback()
def _group() -> None:
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
    results = [examine(image, face) for image in images]
    if as_json:
        print(json.dumps({"pictures": [_as_json(result) for result in results]}, ensure_ascii=False))
    else:
        for result in results:
            _show(result)
    if any(result.error for result in results):
        raise typer.Exit(PortraitError.exit_code)
    if any(worst(result.findings) != "ok" for result in results):
        raise typer.Exit(NEEDS_WORK)


def examine(image: Path, face: int | None) -> Examined:
    """Look at one picture; an unreadable one does not stop the others."""
    with stage(f"looking at {escape(str(image))}"):
        try:
            report = measure(load_portrait(image, face))
        except PortraitError as error:
            return Examined(image=image, error=error)
    return Examined(image=image, report=report, findings=tuple(find(report)))


def _as_json(result: Examined) -> dict[str, Any]:
    if result.error:
        return {"file": str(result.image), "error": result.error.problem, "remedy": result.error.remedy}
    return {
        "file": str(result.image),
        "level": worst(result.findings),
        "findings": [asdict(finding) for finding in result.findings],
        "measured": asdict(result.report) if result.report else None,
    }


def _show(result: Examined) -> None:
    """One picture: a line with the verdict, then a line for each finding and, below it, what to do."""
    console = Console()
    level = worst(result.findings)
    verdict = ("unreadable", "red") if result.error else (_VERDICTS[level], _COLOURS[level])
    console.print(Text.assemble((str(result.image), "bold"), "  ", verdict), soft_wrap=True)
    if result.error:
        console.print(Text(f"  {result.error}"), soft_wrap=True)
        return
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=False)
    for finding in result.findings:
        table.add_row(Text(finding.level, _COLOURS[finding.level]), finding.name, finding.sentence)
        if finding.remedy:
            table.add_row("", "", Text(f"→ {finding.remedy}", "italic"))
    console.print(table, highlight=False)

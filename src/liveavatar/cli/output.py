"""What the commands print in one form: verdicts, findings, messages and errors; and the exit codes of checks.

Results go to stdout, messages to stderr. Text is never read as Rich markup, so a file name is printed as it is.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from liveavatar.errors import LiveAvatarError
from liveavatar.files import describe_path

if TYPE_CHECKING:
    from liveavatar.audio.analysis.analyser import AudioReport
    from liveavatar.report import Finding, FindingLevel

EXIT_NEEDS_WORK = 1
"""A check found something to fix."""

EXIT_FAILED = LiveAvatarError.exit_code
"""An input cannot be read."""

LEVEL_STYLES: "Mapping[FindingLevel, str]" = {"ok": "green", "warn": "yellow", "bad": "red"}
LEVEL_VERDICTS: "Mapping[FindingLevel, str]" = {
    "ok": "ready",
    "warn": "usable, could be better",
    "bad": "needs work",
}

SoundTrack = Annotated[
    int | None,
    typer.Option(
        "--track", min=1, help="Which sound track, where a file has several; by default as players do."
    ),
]

stderr_console = Console(stderr=True)


def print_message(text: str, label: str = "", style: str = "") -> None:
    """Print one line on stderr, above any progress bar; `label` comes first. Control characters are escaped."""
    line = Text.assemble((label, style), " " if label else "", describe_path(text))
    stderr_console.print(line, highlight=False, soft_wrap=True)


def print_finding(finding: "Finding") -> None:
    """Print a finding on stderr, unless it is ok."""
    if finding.level != "ok":
        print_message(
            f"{finding.sentence}; {finding.remedy}", f"{finding.level}:", LEVEL_STYLES[finding.level]
        )


def print_repairs(report: "AudioReport") -> None:
    """Print what was fixed in a recording, and the findings that remain, on stderr."""
    for sentence in report.fixes:
        print_message(sentence, "fixed:", "green")
    for finding in report.remaining_findings:
        print_finding(finding)


def print_verdict(path: Path, verdict: str, style: str) -> None:
    """Print the first line of a check on stdout: the file and the verdict."""
    Console().print(Text.assemble((describe_path(path), "bold"), "  ", (verdict, style)), soft_wrap=True)


def print_unreadable(path: Path, error: LiveAvatarError) -> None:
    """Print the check of a file that cannot be read."""
    print_verdict(path, "unreadable", "red")
    Console().print(Text(f"  {describe_path(str(error))}"), soft_wrap=True)


def print_json(value: object) -> None:
    """Print one JSON object on stdout; characters that it cannot take are escaped as JSON does."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value)
    print(text)


def error_to_object(path: Path, error: LiveAvatarError) -> dict[str, Any]:
    """A file that cannot be read, for `--json`."""
    return {"file": str(path), "error": error.problem, "remedy": error.remedy}

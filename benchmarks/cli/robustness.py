"""Kills, damaged files and odd paths: how often the program lost something, ended without a sentence or took too long.

    PYTHONPATH=tests nice python -m benchmarks.cli.robustness [PART …]

Each part runs a script of the tests, of which CI runs a short form; rows of parts that were not run stay. With two
cores, a part takes five to thirty minutes. A kill is a signal at a random moment; a damaged file has one to four
changes of bytes and must be read or refused within 10 s and 1 GB; an odd path is a cell of the table of options and
values, as root and without root's rights. A case has failed if there was a traceback, a wrong exit code, a lost or
half-written file, or litter after the next run.
"""

import argparse
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import describe_machine, results_path, write_results

_TESTS = Path(__file__).parents[2] / "tests"
_COUNT_LINE = re.compile(r" *(\d+)  (.+)")
_COLUMNS = "| what | cases | failed | outcomes |\n| --- | --- | --- | --- |\n"


@dataclass(frozen=True, slots=True)
class RobustnessPart:
    """A row of the table, and the script with its arguments that counts it."""

    title: str
    command: tuple[str, ...]


PARTS = {
    "generate": RobustnessPart("kills of `generate`", ("cli/kills.py", "--only", "generate")),
    "prepare": RobustnessPart("kills of `audio prepare`", ("cli/kills.py", "--only", "audio prepare")),
    "batches": RobustnessPart(
        "rounds of one to four runs of `audio prepare` in one folder, some of them killed", ("audio/kill.py",)
    ),
    "fix": RobustnessPart("kills of `sync --fix`", ("cli/kills.py", "--only", "sync --fix")),
    "sounds": RobustnessPart("damaged sounds", ("audio/fuzz.py", "--seed", "7")),
    "pictures": RobustnessPart("damaged pictures", ("face/fuzz.py", "--seed", "7")),
    "refusals": RobustnessPart("odd paths that cannot be used", ("cli/odd_paths.py",)),
    "paths": RobustnessPart("odd paths, also those that can be used", ("cli/odd_paths.py", "--long")),
}


def run_part(part: RobustnessPart) -> str:
    """Run a script; gives its row."""
    script, *arguments = part.command
    done = subprocess.run(
        [sys.executable, _TESTS / script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # libraries that decode damaged files write there
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        if "FAILED" in line or line.startswith("case "):
            print(line, file=sys.stderr)
    return f"| {part.title} | {summarise_counts(done.stdout)} |\n"


def summarise_counts(text: str) -> str:
    """Cases, failed ones and outcomes, from lines such as "    12  read" and one that begins with "at most"."""
    outcomes = Counter[str]()
    for line in text.splitlines():
        if found := _COUNT_LINE.fullmatch(line):
            outcomes[_name_outcome(found[2])] += int(found[1])
    limits = "".join(f"; {line}" for line in text.splitlines() if line.startswith("at most"))
    counts = ", ".join(f"{count:,} {what}" for what, count in outcomes.most_common() if what != "failed")
    return f"{outcomes.total():,} | {outcomes['failed']} | {counts}{limits}"


def _name_outcome(what: str) -> str:
    if what.startswith("FAILED"):
        return "failed"
    return what if what in {"read", "used", "done"} or what.startswith(("ended", "done")) else "refused"


def main() -> None:
    """Run parts, and replace their rows in the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    path = results_path(__file__)
    for name in parser.parse_args().parts or PARTS:
        rows = read_rows(path) | {PARTS[name].title: run_part(PARTS[name])}
        ordered = [rows[part.title] for part in PARTS.values() if part.title in rows]
        text = f"# Robustness\n\n{describe_machine()}\n\n{_COLUMNS}{''.join(ordered)}"
        write_results(path, text)
        print(text)


def read_rows(path: Path) -> dict[str, str]:
    """The rows of a table by their titles."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}


if __name__ == "__main__":
    main()

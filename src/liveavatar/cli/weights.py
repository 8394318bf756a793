"""`liveavatar weights`: list, fetch and verify the model files."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from liveavatar.cli.progress import stderr
from liveavatar.errors import WeightsError
from liveavatar.weights import FILES, WeightFile, fetch, find
from liveavatar.weights.fetch import cached_path, damage

app = typer.Typer(help="List, fetch and verify model files.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME…]", help="Which files; all when left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_files(as_json: AsJson = False) -> None:
    """Say which model files there are, under which licence, and whether they are in the cache."""
    if as_json:
        _print_json([_row(file) | asdict(file) for file in FILES])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "size", "licence", "state", "purpose"):
        table.add_column(column)
    for file in FILES:
        table.add_row(file.name, f"{file.size / 1e6:.1f} MB", file.licence, _state(file), file.purpose)
    Console().print(table, highlight=False)


@app.command("fetch")
def fetch_files(names: Names = None, as_json: AsJson = False) -> None:
    """Bring model files into the cache; those that are there and intact are kept."""
    files = _chosen(names)
    with stderr.status("") as status:
        for file in files:
            fetch(file.name, progress=status.update)
    _report(files, as_json)


@app.command("verify")
def verify_files(names: Names = None, as_json: AsJson = False) -> None:
    """Check size and SHA-256 of the cached files. Exit code 2 when one is missing or damaged."""
    files = _chosen(names)
    _report(files, as_json)
    if any(damage(cached_path(file), file) for file in files):
        raise typer.Exit(WeightsError.exit_code)


def _chosen(names: list[str] | None) -> list[WeightFile]:
    return [find(name) for name in names] if names else list(FILES)


def _report(files: list[WeightFile], as_json: bool) -> None:
    if as_json:
        _print_json([_row(file) for file in files])
        return
    for file in files:
        print(f"{file.name}: {_state(file)}, {cached_path(file)}")


def _row(file: WeightFile) -> dict[str, Any]:
    return {"name": file.name, "path": str(cached_path(file)), "state": _state(file)}


def _state(file: WeightFile) -> str:
    """`intact`, `missing`, or what is wrong with the cached copy."""
    path = cached_path(file)
    if not path.exists():
        return "missing"
    fault = damage(path, file)
    return f"damaged: it {fault}" if fault else "intact"


def _print_json(rows: list[dict[str, Any]]) -> None:
    print(json.dumps({"files": rows}))

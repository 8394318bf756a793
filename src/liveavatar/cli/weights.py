"""`liveavatar weights`: list, fetch and verify the model files."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from liveavatar.cli.progress import stderr
from liveavatar.errors import WeightsError
from liveavatar.weights import FILES, WeightFile, fetch, find
from liveavatar.weights.bundles import BUNDLES, Bundle
from liveavatar.weights.fetch import cached_path, damage
from liveavatar.weights.hub import bundle_folder, carry_out, lacking, plan, verify_bundle

app = typer.Typer(help="List, fetch and verify model files.", no_args_is_help=True)

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME…]", help="Which files or bundles; when left out, all that everybody needs."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_files(as_json: AsJson = False) -> None:
    """Say which model files there are, under which licence, and whether they are in the cache."""
    if as_json:
        files = [_row(file) | asdict(file) for file in FILES]
        print(json.dumps({"files": files, "bundles": [_bundle_row(bundle) for bundle in BUNDLES]}))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "size", "licence", "state", "purpose"):
        table.add_column(column)
    for file in FILES:
        table.add_row(file.name, f"{file.size / 1e6:.1f} MB", file.licence, _state(file), file.purpose)
    for bundle in BUNDLES:
        licences = ", ".join(sorted({repository.licence for repository in bundle.repositories}))
        state = "there" if not lacking(bundle) else "missing"
        table.add_row(bundle.name, f"{bundle.size / 1e9:.1f} GB", licences, state, bundle.purpose)
    Console().print(table, highlight=False)


@app.command("fetch")
def fetch_files(names: Names = None, as_json: AsJson = False) -> None:
    """Bring model files into the cache; those that are there and intact are kept.

    A bundle of large files, such as live-avatar, is fetched when it is named; a broken transfer is resumed.
    """
    files, bundles = _chosen(names)
    with stderr.status("") as status:
        for file in files:
            fetch(file.name, progress=status.update)
    for bundle in bundles:
        _fetch_bundle(bundle)
    _report(files, bundles, as_json)


def _fetch_bundle(bundle: Bundle) -> None:
    """Show size and licence, then fetch with a bar."""
    planned = plan(bundle)
    for line in planned.lines():
        stderr.print(line, highlight=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr) as bar:
        task = bar.add_task(bundle.name, total=planned.to_fetch)
        carry_out(
            planned, lambda line: bar.update(task, description=line), lambda count: bar.advance(task, count)
        )


@app.command("verify")
def verify_files(names: Names = None, as_json: AsJson = False) -> None:
    """Check size and SHA-256 of the cached files. Exit code 2 when one is missing or damaged."""
    files, bundles = _chosen(names)
    with stderr.status("") as status:
        for bundle in bundles:
            verify_bundle(bundle, status.update)
    _report(files, bundles, as_json)
    if any(damage(cached_path(file), file) for file in files):
        raise typer.Exit(WeightsError.exit_code)


def _chosen(names: list[str] | None) -> tuple[list[WeightFile], list[Bundle]]:
    """The files and the bundles that are meant; unknown names are an error."""
    if not names:
        return [file for file in FILES if not file.only_when_named], []
    known = {bundle.name: bundle for bundle in BUNDLES}
    return [find(name) for name in names if name not in known], [
        known[name] for name in names if name in known
    ]


def _report(files: list[WeightFile], bundles: list[Bundle], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"files": [_row(f) for f in files], "bundles": [_bundle_row(b) for b in bundles]}))
        return
    for file in files:
        print(f"{file.name}: {_state(file)}, {cached_path(file)}")
    for bundle in bundles:
        print(f"{bundle.name}: intact, {bundle_folder(bundle)}")


def _bundle_row(bundle: Bundle) -> dict[str, Any]:
    missing = lacking(bundle)
    return {"name": bundle.name, "path": str(bundle_folder(bundle)), "size": bundle.size, "missing": missing}


def _row(file: WeightFile) -> dict[str, Any]:
    return {"name": file.name, "path": str(cached_path(file)), "state": _state(file)}


def _state(file: WeightFile) -> str:
    """`intact`, `missing`, or what is wrong with the cached copy."""
    path = cached_path(file)
    if not path.exists():
        return "missing"
    fault = damage(path, file)
    return f"damaged: it {fault}" if fault else "intact"

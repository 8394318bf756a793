"""`liveavatar weights`: list, fetch and verify the model files."""

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

from liveavatar.cli.output import EXIT_FAILED, print_json, print_message, stderr_console
from liveavatar.cli.progress import show_stage
from liveavatar.files import describe_path
from liveavatar.weights import WEIGHT_FILES, WeightFile, fetch_weight_file, find_weight_file
from liveavatar.weights.bundles import WEIGHT_BUNDLES, WeightBundle
from liveavatar.weights.fetch import cached_path, describe_damage
from liveavatar.weights.hub import (
    bundle_folder,
    execute_fetch_plan,
    find_missing_weights,
    plan_fetch,
    verify_bundle,
)

app = typer.Typer(help="List, fetch and verify model files.", no_args_is_help=True)

WeightNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME", help="Files or bundles; by default the files that every installation needs."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_files(as_json: AsJson = False) -> None:
    """List the model files with size, licence, state and purpose."""
    if as_json:
        files = [_file_to_object(file) | asdict(file) for file in WEIGHT_FILES]
        print_json({"files": files, "bundles": [_bundle_to_object(bundle) for bundle in WEIGHT_BUNDLES]})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "size", "licence", "state", "purpose"):
        table.add_column(column, no_wrap=column == "name")
    for file in WEIGHT_FILES:
        table.add_row(
            file.name, f"{file.size / 1e6:.1f} MB", file.licence, _find_file_state(file), file.purpose
        )
    for bundle in WEIGHT_BUNDLES:
        licences = ", ".join(sorted({repository.licence for repository in bundle.repositories}))
        state = "there" if not find_missing_weights(bundle) else "missing"
        table.add_row(bundle.name, f"{bundle.size / 1e9:.1f} GB", licences, state, bundle.purpose)
    Console().print(table, highlight=False)


@app.command("fetch")
def fetch_files(names: WeightNames = None, as_json: AsJson = False) -> None:
    """Fetch model files into the cache; intact files are kept.

    A bundle of large files, such as live-avatar, is fetched only by name; an interrupted transfer is resumed.
    """
    files, bundles = _choose_files(names)
    with show_stage("") as show_progress:
        for file in files:
            fetch_weight_file(file.name, on_progress=show_progress)
    for bundle in bundles:
        _fetch_bundle(bundle)
    _print_states(files, bundles, as_json)


def _fetch_bundle(bundle: WeightBundle) -> None:
    """Print size and licence, then fetch with a progress bar."""
    planned = plan_fetch(bundle)
    for line in planned.summary_lines():
        print_message(line)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr_console) as bar:
        task = bar.add_task(bundle.name, total=planned.remaining_bytes)
        execute_fetch_plan(
            planned, lambda line: bar.update(task, description=line), lambda count: bar.advance(task, count)
        )


@app.command("verify")
def verify_files(names: WeightNames = None, as_json: AsJson = False) -> None:
    """Check size and SHA-256 of the cached files. Exit code 2: one is missing or damaged."""
    files, bundles = _choose_files(names)
    with show_stage("") as show_progress:
        for bundle in bundles:
            verify_bundle(bundle, show_progress)
    _print_states(files, bundles, as_json)
    if any(describe_damage(cached_path(file), file) for file in files):
        raise typer.Exit(EXIT_FAILED)


def _choose_files(names: list[str] | None) -> tuple[list[WeightFile], list[WeightBundle]]:
    """The files and the bundles of these names, or the files that every installation needs."""
    if not names:
        return [file for file in WEIGHT_FILES if not file.only_when_named], []
    known = {bundle.name: bundle for bundle in WEIGHT_BUNDLES}
    return [find_weight_file(name) for name in names if name not in known], [
        known[name] for name in names if name in known
    ]


def _print_states(files: list[WeightFile], bundles: list[WeightBundle], as_json: bool) -> None:
    if as_json:
        file_objects = [_file_to_object(file) for file in files]
        print_json({"files": file_objects, "bundles": [_bundle_to_object(bundle) for bundle in bundles]})
        return
    for file in files:
        print(f"{file.name}: {_find_file_state(file)}, {describe_path(cached_path(file))}")
    for bundle in bundles:
        print(f"{bundle.name}: intact, {describe_path(bundle_folder(bundle))}")


def _bundle_to_object(bundle: WeightBundle) -> dict[str, Any]:
    missing = find_missing_weights(bundle)
    return {"name": bundle.name, "path": str(bundle_folder(bundle)), "size": bundle.size, "missing": missing}


def _file_to_object(file: WeightFile) -> dict[str, Any]:
    return {"name": file.name, "path": str(cached_path(file)), "state": _find_file_state(file)}


def _find_file_state(file: WeightFile) -> str:
    """`intact`, `missing`, or the damage of the cached copy."""
    path = cached_path(file)
    if not path.exists():
        return "missing"
    fault = describe_damage(path, file)
    return f"damaged: it {fault}" if fault else "intact"

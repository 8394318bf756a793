"""All commands in one tree."""

from typing import Annotated

import typer

from liveavatar import __version__
from liveavatar.cli import audio, demo, doctor, generate, portrait, sync, weights

app = typer.Typer(
    name="liveavatar",
    help="One portrait and any speech in, a talking video out whose lips are on time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"liveavatar {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One portrait and any speech in, a talking video out whose lips are on time."""


app.command()(demo.demo)
app.command()(generate.generate)
app.command()(sync.sync)
app.command()(doctor.doctor)
app.add_typer(audio.app, name="audio")
app.add_typer(portrait.app, name="portrait")
app.add_typer(weights.app, name="weights")

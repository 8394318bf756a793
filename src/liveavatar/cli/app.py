"""The tree of commands. A command's module is imported when the command is run, not before."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from liveavatar import __version__

_COMMAND_NAMES = (
    "demo",
    "generate",
    "say",
    "serve",
    "sync",
    "verify",
    "doctor",
    "audio",
    "portrait",
    "weights",
)
"""In the order of the help text. Each is a module of `commands` with a Typer group `app` or a function of its name."""


class _LazyCommands(Mapping[str, Any]):
    """Click commands by name; looking one up imports its module."""

    def __getitem__(self, name: str) -> Any:
        if name not in _COMMAND_NAMES:
            raise KeyError(name)
        module, holder = (
            import_module(f"liveavatar.cli.commands.{name}"),
            typer.Typer(rich_markup_mode="rich"),
        )
        if hasattr(module, "app"):
            holder.add_typer(module.app, name=name)
        else:
            holder.callback()(
                _program_callback
            )  # a Typer app with a callback and one command is still a group
            holder.command(name)(getattr(module, name))
        return get_group(holder).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMAND_NAMES)

    def __len__(self) -> int:
        return len(_COMMAND_NAMES)


class _ProgramGroup(TyperGroup):
    """The root group, which lists its commands without importing them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _LazyCommands()  # type: ignore[assignment]  # never modified

    def list_commands(self, _context: Any) -> list[str]:
        """The names of all commands, in the order of the help text."""
        return list(self.commands)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"liveavatar {__version__}")
        raise typer.Exit


def _program_callback(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One portrait and any speech in, a talking video out whose lips are on time."""


app = typer.Typer(
    name="liveavatar",
    help="One portrait and any speech in, a talking video out whose lips are on time.",
    cls=_ProgramGroup,
    callback=_program_callback,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

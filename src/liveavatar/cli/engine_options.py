"""Options of the engines on the command line, derived from the fields of their options."""

import inspect
import types
from collections.abc import Callable
from dataclasses import Field
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer
from rich.markup import escape

from liveavatar.cli.process.paths import PATH_METAVAR, parse_path
from liveavatar.engines import ENGINE_OPTIONS, EngineOptions, list_engine_options, primary_flag

ENGINE_PANELS = {"mesh": "Engine: mesh", "dit": "Engine: dit (pip install 'liveavatar[dit]')"}
"""Headings of the help."""

_PLAIN_TYPES = (bool, int, float, str, Path)

Command = TypeVar("Command", bound=Callable[..., None])


def add_engine_options(*names: str, only: tuple[str, ...] | None = None) -> Callable[[Command], Command]:
    """Give a command that takes `**options` the options of these engines; None is an option that was not given.

    `only` limits them to some fields.
    """

    def extend_signature(command: Command) -> Command:
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        added = [
            _make_parameter(name, option)
            for name in names
            for option in list_engine_options(name)
            if "help" in option.metadata and (only is None or option.name in only)
        ]
        command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        return command

    return extend_signature


def drop_unset(options: EngineOptions) -> dict[str, object]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _make_parameter(engine: str, option: Field[Any]) -> inspect.Parameter:
    hint = _command_line_type(get_type_hints(ENGINE_OPTIONS[engine])[option.name])
    is_path = hint is Path
    description = typer.Option(
        *option.metadata.get("flags", (primary_flag(option),)),
        help=escape(option.metadata["help"]) + _describe_default(option.default),
        rich_help_panel=escape(ENGINE_PANELS[engine]),
        show_default=False,
        parser=parse_path if is_path else None,
        metavar=PATH_METAVAR if is_path else None,
    )
    annotation = Annotated[hint | None, description]  # type: ignore[valid-type]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _describe_default(default: object) -> str:
    if default is None or default is False:
        return ""
    text = "on" if default is True else default
    return f" [dim]{escape(f'[default: {text}]')}[/]"


def _command_line_type(hint: Any) -> type:
    """The plain type of a field; text for a choice of names."""
    candidates = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((kind for kind in candidates if kind in _PLAIN_TYPES), str)

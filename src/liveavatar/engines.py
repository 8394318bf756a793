"""The registry of engines: their names and options, whether they can run here, and how they are opened.

Engines are imported when they are opened; their options need neither torch nor weights.
"""

from collections.abc import Mapping
from dataclasses import Field, fields
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from liveavatar.dit.plan.options import DitOptions
from liveavatar.engine import Engine, Readiness
from liveavatar.errors import EngineError, OptionError
from liveavatar.files import to_path
from liveavatar.mesh.options import MeshOptions
from liveavatar.provenance.policy import DigitalSourceType

ENGINE_OPTIONS: Mapping[str, type[MeshOptions | DitOptions]] = MappingProxyType(
    {"mesh": MeshOptions, "dit": DitOptions}
)
"""The options of every engine by its name; the fields are described in `engine.py`."""

ENGINE_SOURCE_TYPES: Mapping[str, DigitalSourceType] = MappingProxyType(
    {"mesh": DigitalSourceType.COMPOSITE, "dit": DigitalSourceType.TRAINED}
)
"""How the pictures of every engine come about, for content credentials."""

EngineOptions = Mapping[str, object]
"""Values by the names of the fields; a field that is not there has its default."""

NO_OPTIONS: EngineOptions = MappingProxyType({})


_ACCEPTED_TYPES: Mapping[type, type] = MappingProxyType({float: Real, int: Integral})
"""Types by the type of the field, where others will do: a NumPy number is a number."""

_TYPE_WORDS = {float: "a number", int: "a whole number", bool: "True or False", str: "text", NoneType: "None"}


def list_engine_options(name: str) -> tuple[Field[Any], ...]:
    """The fields of an engine's options."""
    return fields(ENGINE_OPTIONS[name])


def primary_flag(option: Field[Any]) -> str:
    """The first spelling of an option on the command line."""
    flags: tuple[str, ...] = option.metadata.get("flags", ())
    return flags[0].partition("/")[0] if flags else f"--{option.name.replace('_', '-')}"


def check_engine_readiness(name: str, options: EngineOptions = NO_OPTIONS) -> Readiness:
    """Whether engine `name` can run here with these options; nothing is loaded.

    Raises:
        OptionError: an option is out of range.
    """
    if name == "mesh":
        return Readiness(ready=True, reason="runs on any CPU")
    from liveavatar.dit.plan.requirements import check_dit_readiness

    return check_dit_readiness(DitOptions(**options))  # type: ignore[arg-type]


def open_engine(name: str, options: EngineOptions = NO_OPTIONS) -> Engine:
    """Load an engine by name.

    Raises:
        EngineError: there is none, or it cannot run here.
        OptionError: an option is out of range, of another type, or has no effect with this engine.
    """
    if name not in tuple(ENGINE_OPTIONS):
        raise EngineError(f"there is no engine {name!r}", f"use one of: {', '.join(ENGINE_OPTIONS)}")
    _refuse_unknown_options(name, options)
    options = _check_option_types(name, options)
    readiness = check_engine_readiness(name, options)
    if not readiness.ready:
        raise EngineError(
            f"engine {name!r} cannot run here: {readiness.reason}",
            "use --engine mesh, which runs on any CPU",
        )
    return _open_mesh(options) if name == "mesh" else _open_dit(options)


def _refuse_unknown_options(name: str, options: EngineOptions) -> None:
    known = {option.name for option in list_engine_options(name)}
    others = {option.name: option for engine in ENGINE_OPTIONS for option in list_engine_options(engine)}
    for option in options:
        if option not in known:
            other = others.get(option)
            flag = primary_flag(other) if other else f"--{option.replace('_', '-')}"
            remedy = other.metadata.get("instead") if other else None
            raise OptionError(
                f"{flag} has no effect with the {name} engine",
                remedy or "leave it out, or use another --engine",
            )


def _check_option_types(name: str, options: EngineOptions) -> EngineOptions:
    """The options, with text as `Path` where one is wanted; refuses values of another type than the field's."""
    hints = get_type_hints(ENGINE_OPTIONS[name])
    return {option: _check_option_type(option, value, hints[option]) for option, value in options.items()}


def _check_option_type(option: str, value: object, hint: Any) -> object:
    kinds = [
        str if get_origin(kind) is Literal else kind
        for kind in (get_args(hint) if isinstance(hint, UnionType) else (hint,))
    ]
    if Path in kinds and value is not None:
        return to_path(value, OptionError, option)
    accepted = tuple(_ACCEPTED_TYPES.get(kind, kind) for kind in kinds)
    if isinstance(value, accepted) and (bool in kinds or not isinstance(value, bool)):
        return value
    wanted = " or ".join(_TYPE_WORDS.get(kind, kind.__name__) for kind in kinds)
    raise OptionError(f"{option} {value!r} is a {type(value).__name__}", f"give {wanted}")


def _open_mesh(options: EngineOptions) -> Engine:
    from liveavatar.mesh.session import MeshEngine

    return MeshEngine(**options)  # type: ignore[arg-type]


def _open_dit(options: EngineOptions) -> Engine:
    from liveavatar.dit.parity.session import ReferenceEngine
    from liveavatar.dit.recovery import DitSupervisor, RecoveringEngine
    from liveavatar.dit.session import DitEngine

    chosen = DitOptions(**options)  # type: ignore[arg-type]
    make_engine = ReferenceEngine if chosen.parity else DitEngine
    return RecoveringEngine(DitSupervisor(chosen, make_engine=make_engine))

"""The registry of engines: their names and options, whether they can run here, and how they are opened.

Engines are imported when they are opened; their options need neither torch nor weights.
"""

from collections.abc import Mapping
from dataclasses import Field, fields
from types import MappingProxyType
from typing import Any

from liveavatar.dit.plan.options import DitOptions
from liveavatar.engine import Engine, Readiness
from liveavatar.errors import EngineError, OptionError
from liveavatar.mesh.options import MeshOptions

ENGINE_OPTIONS: Mapping[str, type[MeshOptions | DitOptions]] = MappingProxyType(
    {"mesh": MeshOptions, "dit": DitOptions}
)
"""The options of every engine by its name; the fields are described in `engine.py`."""

EngineOptions = Mapping[str, object]
"""Values by the names of the fields; a field that is not there has its default."""

NO_OPTIONS: EngineOptions = MappingProxyType({})


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
        OptionError: an option is out of range, or has no effect with this engine.
    """
    if name not in ENGINE_OPTIONS:
        raise EngineError(f"there is no engine {name!r}", f"use one of: {', '.join(ENGINE_OPTIONS)}")
    _refuse_unknown_options(name, options)
    readiness = check_engine_readiness(name, options)
    if not readiness.ready:
        raise EngineError(
            f"engine {name!r} cannot run here: {readiness.reason}",
            "use --engine mesh, which runs on any CPU",
        )
    return _open_mesh(options) if name == "mesh" else _open_dit(options)


def _refuse_unknown_options(name: str, options: EngineOptions) -> None:
    known = {option.name for option in list_engine_options(name)}
    flags = {
        option.name: primary_flag(option)
        for engine in ENGINE_OPTIONS
        for option in list_engine_options(engine)
    }
    for option in options:
        if option not in known:
            flag = flags.get(option, f"--{option.replace('_', '-')}")
            raise OptionError(
                f"{flag} has no effect with the {name} engine", "leave it out, or use another --engine"
            )


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

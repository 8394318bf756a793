"""What a client orders: a portrait, a recording and options, checked before any work is done."""

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from liveavatar.engine import check_seed
from liveavatar.engines import ENGINE_OPTIONS, check_engine_readiness, list_engine_options
from liveavatar.errors import OptionError
from liveavatar.face.crop import parse_size
from liveavatar.server.studio.jobs import VIDEO_NAME
from liveavatar.timeline import parse_fps
from liveavatar.video.formats import EncodingOptions, choose_format

FRAME_SIZES = ("auto", "512x512", "720x720", "720x1280", "1280x720")
"""Sizes that the page offers; others are accepted, too."""

_MAX_FPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOrder:
    """One video. `portrait` and `speech` are the ids of uploads; `options` are those of the engine.

    Raises:
        OptionError: a value is unusable, or an option is not for clients.
    """

    portrait: str
    speech: str
    engine: str = "mesh"
    size: str = "auto"
    fps: str = "25"
    seed: int = 0
    quality: str = "good"
    language: str = "auto"
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("portrait", "speech", "engine", "size", "fps", "quality", "language"):
            if not isinstance(getattr(self, name), str):
                raise OptionError(f"{name} is not text", "read /openapi.json")
        if not isinstance(self.options, dict):
            raise OptionError("options is not an object", "read /openapi.json")
        parse_size(self.size)
        if parse_fps(self.fps) > _MAX_FPS:
            raise OptionError(f"{self.fps} frames a second are too many", f"use {_MAX_FPS} or fewer")
        check_seed(self.seed)
        choose_format(Path(VIDEO_NAME), EncodingOptions(quality=self.quality))
        check_client_options(self.engine, self.options)

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """Width and height; None follows the portrait."""
        return parse_size(self.size)

    @property
    def engine_options(self) -> dict[str, object]:
        """What the engine is opened with."""
        whole_recording = {"live": False} if self.engine == "dit" else {}
        return {**self.options, **whole_recording}


def parse_order(values: Mapping[str, Any]) -> RenderOrder:
    """The order in a JSON object.

    Raises:
        OptionError: a name is unknown or missing, or a value is unusable.
    """
    known = set(RenderOrder.__slots__)
    if unknown := sorted(set(values) - known):
        raise OptionError(
            f"there is nothing called {unknown[0][:40]!r} in an order", f"use {', '.join(sorted(known))}"
        )
    if missing := {"portrait", "speech"} - set(values):
        raise OptionError(f"the order names no {min(missing)}", "upload one first, and name its id")
    return RenderOrder(**values)


def order_to_json(order: RenderOrder) -> dict[str, Any]:
    """An order as plain values."""
    return asdict(order)


def check_client_options(engine: str, options: Mapping[str, object]) -> None:
    """Refuse options that are not for clients, or out of their bounds.

    Raises:
        OptionError: there are some, or there is no such engine here.
    """
    if engine not in list_ready_engines():
        raise OptionError(
            f"there is no engine {engine[:40]!r} here", f"use {' or '.join(list_ready_engines())}"
        )
    allowed = {option.name: option for option in list_client_options(engine)}
    for name, value in options.items():
        if name not in allowed:
            raise OptionError(f"clients cannot set {name[:40]!r}", f"use {', '.join(allowed)}")
        _check_bounds(allowed[name], value)


def list_client_options(engine: str) -> list[Field[Any]]:
    """The options of an engine that clients may set: those whose values are bounded."""
    return [option for option in list_engine_options(engine) if {"range", "choices"} & set(option.metadata)]


def list_ready_engines() -> list[str]:
    """The engines that can run on this machine."""
    return [name for name in ENGINE_OPTIONS if check_engine_readiness(name).ready]


def describe_client_options(engine: str) -> list[dict[str, Any]]:
    """The options of an engine for a form: name, help, default, and a range or choices."""
    return [
        {
            "name": option.name,
            "help": option.metadata["help"],
            "default": option.default,
            "range": option.metadata.get("range"),
            "choices": _list_choices(option),
        }
        for option in list_client_options(engine)
    ]


def _list_choices(option: Field[Any]) -> list[str] | None:
    """The choices for which everything is installed; None for a range."""
    packages = option.metadata.get("packages", {})
    return [
        choice
        for choice in option.metadata.get("choices", ())
        if choice not in packages or find_spec(packages[choice]) is not None
    ] or None


def _check_bounds(option: Field[Any], value: object) -> None:
    if choices := _list_choices(option):
        if value not in choices:
            raise OptionError(
                f"{option.name} {str(value)[:40]!r} is not possible", f"use {', '.join(choices)}"
            )
        return
    least, most = option.metadata["range"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise OptionError(f"{option.name} {str(value)[:40]!r} is not possible", f"use {least:g}…{most:g}")

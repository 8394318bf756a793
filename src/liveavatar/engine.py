"""What an engine is: a portrait goes in once, then any number of sessions turn sound into frames.

```
engine = open_engine("mesh")          # loads what the engine needs
actor = engine.open(portrait)         # prepares one face; sessions share it
session = actor.session(fps)          # one conversation; all state lives here
session.push(samples); session.flush()
for frame in session.frames(): ...
```
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Protocol

from liveavatar.errors import EngineError, OptionError
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples, VideoFrame

ENGINE_NAMES = ("mesh", "dit")


class Session(Protocol):
    """One stream of sound into one stream of frames. Not thread-safe; sessions are independent of each other."""

    @property
    def lookahead(self) -> int:
        """Samples at 16 kHz that must follow a frame's last sample before the frame can be made."""
        ...

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length.

        Raises:
            SessionClosed: after `flush()`.
        """
        ...

    def flush(self) -> None:
        """The sound is over: the rest of the frames become available, the last padded with silence."""
        ...

    def interrupt(self) -> None:
        """Forget sound that has not become a frame yet; the next frame follows the last one made."""
        ...

    def frames(self) -> Iterator[VideoFrame]:
        """Frames that the sound so far allows, each once, in order. Made as they are taken."""
        ...


class Actor(Protocol):
    """One prepared portrait."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its frames."""
        ...

    def session(self, fps: Fraction, seed: int) -> Session:
        """Start a conversation. Same sound and seed, same frames."""
        ...


class Engine(Protocol):
    """A way to animate portraits."""

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> Actor:
        """Prepare a portrait; `size` is (width, height), or None to follow the portrait."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether an engine can run on this machine, and if not, what is missing."""

    ready: bool
    reason: str


EngineOptions = Mapping[str, object]
"""What a user set, by name; every engine has options of its own."""

NO_OPTIONS: EngineOptions = MappingProxyType({})


def _open_mesh(options: EngineOptions) -> Engine:
    from liveavatar.mesh.session import MeshEngine

    return MeshEngine(**options)  # type: ignore[arg-type]


def _open_dit(options: EngineOptions) -> Engine:
    from liveavatar.dit.plan.options import DitOptions
    from liveavatar.dit.recovery import DitSupervisor, RecoveringEngine

    return RecoveringEngine(DitSupervisor(DitOptions(**options)))  # type: ignore[arg-type]


_ENGINE_OPENERS: dict[str, Callable[[EngineOptions], Engine]] = {"mesh": _open_mesh, "dit": _open_dit}

ENGINE_OPTIONS = {
    "mesh": ["motion", "expression", "speech"],
    "dit": [
        "prompt",
        "sample_steps",
        "infer_frames",
        "online_decode",
        "parity",
        "live",
        "preset",
        "random_weights",
        "folder",
        "memory",
        "speed",
        "device",
    ],
}
"""Names of the options each engine knows."""


def check_engine_readiness(name: str, options: EngineOptions = NO_OPTIONS) -> Readiness:
    """Whether engine `name` can run here with these options; nothing is loaded."""
    if name == "mesh":
        return Readiness(ready=True, reason="runs on any CPU")
    from liveavatar.dit.plan.options import DitOptions
    from liveavatar.dit.plan.requirements import check_dit_readiness as dit_readiness

    return dit_readiness(DitOptions(**options))  # type: ignore[arg-type]


def open_engine(name: str, options: EngineOptions = NO_OPTIONS) -> Engine:
    """Load an engine by name.

    Raises:
        EngineError: unknown, or it cannot run here.
        OptionError: an option that would have no effect with this engine.
    """
    if name not in ENGINE_NAMES:
        raise EngineError(f"there is no engine {name!r}", f"use one of: {', '.join(ENGINE_NAMES)}")
    for option in options:
        if option not in ENGINE_OPTIONS[name]:
            flag = f"--{option.replace('_', '-')}"
            raise OptionError(
                f"{flag} has no effect with the {name} engine", "leave it out, or use another --engine"
            )
    state = check_engine_readiness(name, options)
    if not state.ready:
        raise EngineError(
            f"engine {name!r} cannot run here: {state.reason}", "use --engine mesh, which runs on any CPU"
        )
    return _ENGINE_OPENERS[name](options)

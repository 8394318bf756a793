"""What a client orders for a live session, checked before any work is done."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from liveavatar.errors import OptionError
from liveavatar.face.crop import parse_size
from liveavatar.server.studio.orders import check_client_options, list_client_options

LIVE_ENGINE = "mesh"
LIVE_SIZES = ("512x512", "720x720", "720x1280", "1280x720")
"""Sizes of live frames: a session of the first costs a third of a core, larger ones more, by their pixels."""
OWN_BACKGROUND = "portrait"

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOrder:
    """One live session. `portrait` is the id of an upload, `background` is "portrait" (its own) or "#RRGGBB".

    `options` are those of the engine, less `emotion`, which may change later; `language` is that of the label.

    Raises:
        OptionError: a value is unusable, or an option is not for clients.
    """

    portrait: str
    size: str = LIVE_SIZES[0]
    background: str = OWN_BACKGROUND
    emotion: str = "neutral"
    language: str = "auto"
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(isinstance(value, str) for value in (self.portrait, self.language)):
            raise OptionError("portrait or language is not text", "read /openapi.json")
        if self.size not in LIVE_SIZES:
            raise OptionError("there are no live frames of that size", f"use {', '.join(LIVE_SIZES)}")
        if self.background != OWN_BACKGROUND and not _COLOUR.fullmatch(str(self.background)):
            raise OptionError("there is no such background", f"use {OWN_BACKGROUND}, or #00ff00, say")
        if not isinstance(self.options, dict):
            raise OptionError("options is not an object", "read /openapi.json")
        check_client_options(LIVE_ENGINE, {**self.options, "emotion": self.emotion})

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height."""
        size = parse_size(self.size)
        if size is None:
            raise OptionError("live frames have a size of their own", f"use {', '.join(LIVE_SIZES)}")
        return size

    @property
    def colour(self) -> str | None:
        """The colour behind the person; None keeps the portrait's own background."""
        return None if self.background == OWN_BACKGROUND else self.background


def list_emotions() -> list[str]:
    """The emotions of a live face."""
    option = next(option for option in list_client_options(LIVE_ENGINE) if option.name == "emotion")
    return list(option.metadata["choices"])


def parse_live_order(values: Mapping[str, Any]) -> LiveOrder:
    """The order in a JSON object.

    Raises:
        OptionError: a name is unknown or missing, or a value is unusable.
    """
    known = sorted(LiveOrder.__slots__)
    if unknown := sorted(set(values) - set(known)):
        raise OptionError(f"a live session has no {unknown[0][:40]!r}", f"use {', '.join(known)}")
    if "portrait" not in values:
        raise OptionError("the order names no portrait", "upload one first, and name its id")
    return LiveOrder(**values)


LIVE_ORDER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["portrait", "consent"],
    "additionalProperties": False,
    "properties": {
        "portrait": {"type": "string"},
        "consent": {"const": True, "description": "the person in the picture agreed"},
        "size": {"enum": list(LIVE_SIZES)},
        "background": {"type": "string", "examples": [OWN_BACKGROUND, "#00ff00"]},
        "emotion": {"type": "string"},
        "language": {"enum": ["auto", "en", "zh"], "description": "of the visible label"},
        "options": {"type": "object", "description": "those of the engine mesh that GET /api/studio lists"},
    },
}
"""What POST /api/live takes."""

LIVE_SESSION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "socket": {"type": "string", "description": "the path of its WebSocket"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "fps": {"type": "number"},
    },
}
"""What POST /api/live gives."""

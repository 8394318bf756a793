"""Which endpoints a conversation uses: named in the environment, or in a small TOML file."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit

from liveavatar.errors import OptionError
from liveavatar.files import describe_path
from liveavatar.server.settings import is_loopback

PARTS = {"asr": "speech to text", "llm": "the language model", "tts": "text to speech"}
"""Names in the environment, LIVEAVATAR_<NAME>_URL, and tables of the file."""

_MAX_FILE_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """One endpoint: `url` ends before /chat/completions and the like. `key` is sent to it and to nobody else.

    `voice` is for text to speech, `prompt` for the language model.

    Raises:
        OptionError: the address is unusable, or would send a key unencrypted to another machine.
    """

    url: str
    model: str = ""
    key: str = field(default="", repr=False)
    voice: str = ""
    prompt: str = ""

    def __post_init__(self) -> None:
        address = urlsplit(self.url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise OptionError("an endpoint has no usable address", "use https://host/v1, say")
        if address.username or address.password or address.query or address.fragment:
            raise OptionError("the address of an endpoint holds more than a path", "use https://host/v1, say")
        if not (self.key.isascii() and self.key.isprintable()):
            raise OptionError(f"the key for {address.hostname} has signs that no key has", "copy it again")
        if self.key and address.scheme == "http" and not is_loopback(address.hostname):
            raise OptionError(
                f"the key for {address.hostname} would be sent unencrypted", "use an https address"
            )


def load_endpoints(
    environment: Mapping[str, str] = os.environ, file: Path | None = None
) -> dict[str, EndpointSettings]:
    """The endpoints by the names of `PARTS`, those that are named. The environment is stronger than the file.

    Raises:
        OptionError: a value is unusable, or the file cannot be read.
    """
    tables = _read_tables(file) if file is not None else {}
    found = {}
    for part, purpose in PARTS.items():
        values = dict(tables.get(part, {}))
        for name in _VALUE_NAMES:
            if text := environment.get(f"LIVEAVATAR_{part}_{name}".upper()):
                values[name] = text
        if "url" in values:
            found[part] = EndpointSettings(**values)
        elif values:
            raise OptionError(f"{purpose} has settings and no address", f"set LIVEAVATAR_{part.upper()}_URL")
    return found


_VALUE_NAMES = tuple(value.name for value in fields(EndpointSettings))


def _read_tables(file: Path) -> dict[str, dict[str, str]]:
    shown = describe_path(file)
    try:
        with file.open("rb") as opened:
            text = opened.read(_MAX_FILE_BYTES + 1)
        tables = tomllib.loads(text[:_MAX_FILE_BYTES].decode())
    except OSError as error:
        raise OptionError(f"{shown} cannot be read", (error.strerror or str(error)).lower()) from error
    except ValueError as error:
        raise OptionError(f"{shown} is no TOML file", "see docs/converse.md") from error
    for part, values in tables.items():
        if part not in PARTS or not isinstance(values, dict):
            raise OptionError(f"{shown} has the entry {part[:40]!r}", f"use the tables {', '.join(PARTS)}")
        for name, value in values.items():
            if name not in _VALUE_NAMES or not isinstance(value, str):
                raise OptionError(
                    f"{shown}: {name[:40]!r} in {part} is unknown or no text",
                    f"use {', '.join(_VALUE_NAMES)}",
                )
    return tables

"""Settings of a server, and the limits of what its clients may ask for."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from liveavatar.errors import OptionError
from liveavatar.provenance.policy import ALL_MARKS, MarkPolicy

DEFAULT_PORT = 8642
MIN_TOKEN_LENGTH = 16
"""Characters: shorter ones can be guessed."""

_MEGABYTE = 1_000_000


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def find_default_folder() -> Path:
    """Where uploads and videos are kept, unless the operator names a folder."""
    return platformdirs.user_state_path("liveavatar", appauthor=False) / "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """The most that clients may ask for. Beyond a limit a request is refused, with the limit in its answer.

    `live_sessions` None is two for each core.
    """

    portrait_bytes: int = 32 * _MEGABYTE
    speech_bytes: int = 256 * _MEGABYTE
    speech_seconds: int = 600
    text_characters: int = 5_000
    frame_pixels: int = 1920 * 1080
    waiting_jobs: int = 20
    waiting_checks: int = 8
    event_streams: int = 64
    live_sessions: int | None = None
    stored_bytes: int = 10_000 * _MEGABYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server listens and what it keeps.

    `token` is what clients must know, None if none is asked for. `host_names` are names besides IP addresses and
    "localhost" under which clients may reach it. Uploads and videos are in `folder`, each for `keep_hours`. `marks` are
    those of all videos. `converse` is how live sessions answer, "echo" or "auto", None for not at all; `endpoints_file`
    is a TOML file that names the services of a conversation. At its end the server gives the job that runs
    `drain_seconds` to be done.

    Raises:
        OptionError: the host is not of this machine alone and there is no token, or a value is unusable.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None
    host_names: tuple[str, ...] = ()
    folder: Path = field(default_factory=find_default_folder)
    keep_hours: float = 24.0
    drain_seconds: float = 30.0
    marks: MarkPolicy = ALL_MARKS
    converse: str | None = None
    endpoints_file: Path | None = None
    limits: ServerLimits = field(default_factory=ServerLimits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise OptionError(f"there is no port {self.port}", "use --port 1024…65535, or 0 for any free one")
        if not self.keep_hours > 0:
            raise OptionError(
                f"uploads cannot be kept for {self.keep_hours:g} hours", "use --keep-hours 24, say"
            )
        if self.token is not None and len(self.token) < MIN_TOKEN_LENGTH:
            problem = f"the token has {len(self.token)} characters, which can be guessed"
            raise OptionError(problem, f"use {MIN_TOKEN_LENGTH} or more: --token $(openssl rand -hex 16)")
        if self.token is None and not (is_loopback(self.host) and not self.host_names):
            where = (
                f"{self.host} can" if not is_loopback(self.host) else f"behind {self.host_names[0]} it can"
            )
            raise OptionError(
                f"{where} be reached by other machines, and there is no token",
                "add --token $(openssl rand -hex 16), or leave out --host and --allow-host",
            )

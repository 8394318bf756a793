"""Runs the application with uvicorn until a signal asks it to end."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from liveavatar.errors import OptionError
from liveavatar.server.app import build_app
from liveavatar.server.live_socket import MAX_EVENT_BYTES
from liveavatar.server.settings import ServerSettings, is_loopback

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CONNECTION_SECONDS = 5
"""How long connections may take to end."""
_PING_SECONDS, _PONG_SECONDS = 2.0, 3.0
"""A client of a WebSocket that does not answer is gone within five seconds."""
_MAX_CONNECTIONS = 256
"""More are answered with 503."""
_BACKLOG = 128
"""Connections that may wait to be accepted."""


class DrainingServer(uvicorn.Server):
    """Ends in order: the first signal drains it, a second one does not wait.

    The handlers of the program are back afterwards, and are not told of signals that this server has dealt with.
    """

    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[], None], on_drain: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_drain = on_drain

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals that end a process within the block; a SIGHUP that is ignored stays so."""
        numbers = [number for number in _STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, _number: int, _frame: FrameType | None) -> None:
        """Begin to end; a second time, without waiting for connections."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._on_drain()

    async def startup(self, sockets: object = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            self._on_start()


def run_server(settings: ServerSettings, on_start: Callable[[str], None]) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; `on_start` is called with the address of the page once it can be opened.

    Raises:
        OptionError: the port is taken or not allowed, or another server uses the folder.
    """
    listener = open_listener(settings)
    app = build_app(settings)
    config = uvicorn.Config(
        app,
        log_level="warning",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_CONNECTION_SECONDS,
        ws="websockets-sansio",
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PONG_SECONDS,
        ws_max_size=MAX_EVENT_BYTES,
    )
    server = DrainingServer(
        config,
        on_start=lambda: on_start(format_address(settings, listener.getsockname()[1])),
        on_drain=app.state.studio.start_draining,
    )
    server.run(sockets=[listener])


def open_listener(settings: ServerSettings) -> socket.socket:
    """A socket that listens where the settings say.

    Raises:
        OptionError: the address is not of this machine, or the port is taken or not allowed.
    """
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, *_, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        problem = f"{settings.host} port {settings.port} cannot be used: {reason}"
        raise OptionError(problem, "choose another --port, or 0 for any free one") from error


def format_address(settings: ServerSettings, port: int) -> str:
    """The address of the page, with the token where browsers do not send it to anybody."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if not is_loopback(settings.host) and settings.host in {"0.0.0.0", "::"}:  # noqa: S104
        host = settings.host_names[0] if settings.host_names else "localhost"
    return f"http://{host}:{port}/" + (f"#token={settings.token}" if settings.token else "")

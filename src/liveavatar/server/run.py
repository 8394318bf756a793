"""Runs the application with uvicorn until a signal asks it to end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from liveavatar.errors import OptionError
from liveavatar.server.app import build_app
from liveavatar.server.settings import ServerSettings, is_loopback

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CONNECTION_SECONDS = 5
"""How long connections may take to end."""


class DrainingServer(uvicorn.Server):
    """Ends in order: the first signal drains it, a second one does not wait.

    The handlers of the program are back afterwards, and are not told of signals that this server has dealt with.
    """

    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[int], None], on_drain: Callable[[], None]
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
        if self.servers:
            self._on_start(self.servers[0].sockets[0].getsockname()[1])


def run_server(settings: ServerSettings, on_start: Callable[[str], None]) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; `on_start` is called with the address of the page once it can be opened.

    Raises:
        OptionError: the port is taken or not allowed, or another server uses the folder.
    """
    app = build_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_CONNECTION_SECONDS,
        ws="websockets-sansio",
    )
    server = DrainingServer(
        config,
        on_start=lambda port: on_start(format_address(settings, port)),
        on_drain=app.state.studio.start_draining,
    )
    try:
        server.run()
    except SystemExit as error:  # uvicorn logs why it cannot listen, and exits
        problem = f"{settings.host} port {settings.port} cannot be used"
        raise OptionError(problem, "another program may have it: choose another --port, or 0") from error


def format_address(settings: ServerSettings, port: int) -> str:
    """The address of the page, with the token where browsers do not send it to anybody."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if not is_loopback(settings.host) and settings.host in {"0.0.0.0", "::"}:  # noqa: S104
        host = settings.host_names[0] if settings.host_names else "localhost"
    return f"http://{host}:{port}/" + (f"#token={settings.token}" if settings.token else "")

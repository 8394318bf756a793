"""A small HTTP server on loopback that answers as it is told, and keeps what it was asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


@dataclass(slots=True)
class Service:
    """Gives `pieces` as the body of every answer; `stalls` keeps it from ending."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    stalls: bool = False
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    ended: Event = field(default_factory=Event)


@contextmanager
def run_service(service: Service) -> Iterator[Service]:
    """Serve on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(service.status)
            for name, value in service.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in service.pieces:
                self.wfile.write(piece)
                self.wfile.flush()
            if service.stalls:
                service.ended.wait(30)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the base class)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        service.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield service
        finally:
            service.ended.set()
            server.shutdown()
            thread.join()

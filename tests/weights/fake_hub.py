"""A fake model hub on the loopback: lists repositories, serves files by range, and breaks off on request."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast

REVISION = "a" * 40


class FakeHub:
    """`repositories` maps a repository to its files; `requests` records (path, first byte)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.small: set[str] = set()  # files in Git itself, without LFS
        self.licence: str | None = "apache-2.0"
        self.requests: list[tuple[str, int]] = []
        self.breaks: list[int] = []  # bytes after which each of the next transfers breaks off
        self.refuses: int | None = None  # HTTP status with which files are refused
        self.ranges = True
        self.altered: set[str] = set()  # files whose content differs from the declared digest
        self.description: bytes | None = None  # sent in place of a repository's description
        self.endless: set[str] = set()  # files that are longer than declared

    def listing(self, repository: str) -> dict[str, Any]:
        siblings = [self._sibling(name, content) for name, content in self.repositories[repository].items()]
        card = {"license": self.licence} if self.licence else {}
        return {"id": repository, "sha": REVISION, "siblings": siblings, "cardData": card, "tags": []}

    def _sibling(self, name: str, content: bytes) -> dict[str, Any]:
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        described: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git}
        if name not in self.small:
            digest = hashlib.sha256(content).hexdigest()
            described["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
        return described


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: FakeHub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def do_GET(self) -> None:
        hub = cast("_Server", self.server).hub
        path = self.path.partition("?")[0]
        if listed := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/\w+)?", path):
            self._list(hub, listed[1])
        elif asked := re.fullmatch(r"/([^/]+/[^/]+)/resolve/(\w+)/(.+)", path):
            self._send_file(hub, asked[1], asked[3])
        else:
            self._send(404, b"", {})

    def _list(self, hub: FakeHub, repository: str) -> None:
        if hub.description is not None:
            self._send(hub.refuses or 200, hub.description, {"Content-Type": "application/json"})
        elif repository in hub.repositories:
            self._send(
                200, json.dumps(hub.listing(repository)).encode(), {"Content-Type": "application/json"}
            )
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _send_file(self, hub: FakeHub, repository: str, name: str) -> None:
        content = hub.repositories[repository][name]
        wanted = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        hub.requests.append((name, wanted))
        if hub.refuses:
            self._send(hub.refuses, b"", {})
            return
        if name in hub.altered:
            content = b"?" * len(content)
        if name in hub.endless:
            content += bytes(1_000_000)
        start = wanted if hub.ranges else 0
        until = hub.breaks.pop(0) if hub.breaks else None
        extent = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if hub.ranges else {}
        self._send(206 if hub.ranges else 200, content[start:], extent, until)

    def _send(self, status: int, body: bytes, headers: dict[str, str], until: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:until])
        self.close_connection = until is not None


@contextmanager
def serve_fake_hub() -> Iterator[FakeHub]:
    """Run a fake hub during the block."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.hub = FakeHub(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.hub
        finally:
            server.shutdown()
            thread.join()

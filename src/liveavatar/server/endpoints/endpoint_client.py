"""Requests to one endpoint, with time-outs and limits. What goes wrong is one error, without the key or the answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from liveavatar.errors import EndpointError
from liveavatar.server.endpoints.endpoint_settings import PARTS, EndpointSettings

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
"""Between two pieces of an answer. A conversation that waits longer is none."""

_TIMEOUT = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)


class EndpointClient:
    """Sends requests to the endpoint of a part of the conversation. Any thread may use it."""

    def __init__(self, part: str, settings: EndpointSettings, timeout: httpx2.Timeout = _TIMEOUT) -> None:
        self.settings = settings
        self._name, self._part = PARTS[part], part
        headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
        self._client = httpx2.Client(headers=headers, timeout=timeout, follow_redirects=False)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    @contextmanager
    def stream_request(self, path: str, **content: Any) -> Iterator[Iterator[bytes]]:
        """POST `content` (`json`, or `data` and `files`); gives the pieces of the answer's body.

        Raises:
            EndpointError: the endpoint cannot be reached, refuses, or is too slow; also while the body is read.
        """
        address = f"{self.settings.url.rstrip('/')}/{path}"
        try:
            with self._client.stream("POST", address, **content) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise self.report_problem(
                        f"answers {answer.status_code}", self._suggest(answer.status_code)
                    )
                yield answer.iter_bytes()
        except httpx2.TimeoutException as error:
            raise self.report_problem("is too slow", "try again, or name another one") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self.report_problem("cannot be reached", f"check {self._variable}") from error

    def read_limited(self, pieces: Iterator[bytes], limit: int) -> bytes:
        """The whole body.

        Raises:
            EndpointError: it has more than `limit` bytes.
        """
        body = bytearray()
        for piece in pieces:
            body += piece
            if len(body) > limit:
                raise self.report_problem("sends more than fits", f"check {self._variable}")
        return bytes(body)

    def report_problem(self, what: str, remedy: str = "") -> EndpointError:
        """The error that says what is wrong with the endpoint."""
        return EndpointError(f"the endpoint for {self._name} {what}", remedy or f"check {self._variable}")

    @property
    def _variable(self) -> str:
        return f"LIVEAVATAR_{self._part.upper()}_URL"

    def _suggest(self, status: int) -> str:
        if status in {401, 403}:
            return f"check LIVEAVATAR_{self._part.upper()}_KEY"
        if status == 429:
            return "it wants fewer requests: try again later"
        return f"check {self._variable} and LIVEAVATAR_{self._part.upper()}_MODEL"

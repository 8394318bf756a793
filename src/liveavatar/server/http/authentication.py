"""Lets clients in: a session for who knows the server's token, or for everybody on this machine if there is none."""

import asyncio
import hmac
import json
from functools import wraps
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from liveavatar.server.http.endpoints import Endpoint, Handler
from liveavatar.server.http.errors import RequestRefused
from liveavatar.server.http.session_tokens import SESSION_SECONDS, Session, SessionTokens

SESSION_COOKIE = "liveavatar-session"
LOCAL_OWNER = "0" * 32
"""The owner of everything on a server without a token: whoever sits at this machine."""

_COOKIE_SECONDS = 30 * 86_400
"""An expired session is kept this long, so that a returning visitor finds what belongs to them."""
_WRONG_TOKEN_SECONDS = 1.0
"""Pause before a wrong token is refused; attempts wait for each other."""


class Authenticator:
    """Makes sessions, and finds that of a request: in its cookie, or in `Authorization: Bearer`."""

    def __init__(self, tokens: SessionTokens, server_token: str | None) -> None:
        self._tokens = tokens
        self._server_token = server_token
        self._wrong_token_pause = asyncio.Lock()

    @property
    def endpoints(self) -> list[Endpoint]:
        """Signing in."""
        return [
            Endpoint(
                method="POST",
                path="/api/session",
                handler=self.open_session,
                summary="Start or renew a session. `token` is the server's, if it has one.",
                body={"type": "object", "properties": {"token": {"type": "string"}}},
                answer={
                    "type": "object",
                    "properties": {"token": {"type": "string"}, "seconds": {"type": "integer"}},
                },
                errors=(400, 401),
                is_open=True,
            )
        ]

    def find_session(self, connection: HTTPConnection) -> Session | None:
        """The session that a request or WebSocket shows, also if it has expired."""
        scheme, _, credentials = connection.headers.get("authorization", "").partition(" ")
        shown = credentials if scheme.lower() == "bearer" else connection.cookies.get(SESSION_COOKIE, "")
        return self._tokens.read_token(shown)

    def require_session(self, handler: Handler) -> Handler:
        """`handler`, for those who have a valid session; it finds the owner in `request.state.owner`."""

        @wraps(handler)
        async def handle_session(request: Request) -> Response:
            session = self.find_session(request)
            if session is None or not session.is_valid:
                problem = "there is no session, or it has expired"
                raise RequestRefused(401, "no-session", problem, "start one: POST /api/session")
            request.state.owner = session.owner
            return await handler(request)

        return handle_session

    async def open_session(self, request: Request) -> Response:
        """Start a session, or renew one; the answer sets a cookie, and has the token for programs."""
        given, before = (await read_json_object(request)).get("token"), self.find_session(request)
        if self._server_token is not None and not (before and before.is_valid):
            await self._check_token(given)
        owner = (
            LOCAL_OWNER
            if self._server_token is None
            else before.owner
            if before
            else self._tokens.create_owner()
        )
        token = self._tokens.issue_token(owner)
        response = JSONResponse({"token": token, "seconds": SESSION_SECONDS})
        response.set_cookie(
            SESSION_COOKIE,
            token,
            max_age=_COOKIE_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def _check_token(self, given: object) -> None:
        """Refuse a wrong token, after a pause in which no other attempt is heard."""
        wanted = (self._server_token or "").encode()
        if isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted):
            return
        if given is not None:
            async with self._wrong_token_pause:
                await asyncio.sleep(_WRONG_TOKEN_SECONDS)
        problem = "the token is wrong" if given is not None else "this server asks for a token"
        raise RequestRefused(401, "wrong-token", problem, "ask whoever runs this server")


async def read_json_object(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body; an empty body is an empty object.

    Raises:
        RequestRefused: it is something else.
    """
    body = await request.body()
    try:
        value = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RequestRefused(400, "not-json", "the body is not a JSON object", "send an object, UTF-8")
    return value

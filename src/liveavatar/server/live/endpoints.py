"""Live sessions for clients: a request prepares one, a WebSocket runs it."""

import os

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from liveavatar.live.session import LiveOptions, LiveSession
from liveavatar.server.conversation_protocol import OpenConversation
from liveavatar.server.http.authentication import Authenticator, read_json_object
from liveavatar.server.http.endpoints import Endpoint
from liveavatar.server.http.errors import RequestRefused, describe_error
from liveavatar.server.live.admission import LiveAdmission, PreparedSession
from liveavatar.server.live.orders import (
    LIVE_ENGINE,
    LIVE_ORDER_SCHEMA,
    LIVE_SESSION_SCHEMA,
    LIVE_SIZES,
    list_emotions,
    parse_live_order,
)
from liveavatar.server.live_socket import LiveSocketServer
from liveavatar.server.studio.storage import CONTENT_NAME
from liveavatar.server.studio.studio import Studio

_SESSIONS_PER_CORE = 2
"""A session of 512x512 costs a quarter to a third of a core; the rest is for requests and videos."""


class LiveEndpoints:
    """The request and the WebSocket of live sessions."""

    def __init__(
        self, studio: Studio, authenticator: Authenticator, open_conversation: OpenConversation | None
    ) -> None:
        self._studio, self._authenticator = studio, authenticator
        limit = studio.settings.limits.live_sessions or _SESSIONS_PER_CORE * (os.cpu_count() or 1)
        self.admission = LiveAdmission(limit)
        self._sockets = LiveSocketServer(_open_session, limit, open_conversation)

    @property
    def endpoints(self) -> list[Endpoint]:
        """The requests."""
        return [
            Endpoint(method="GET", path="/api/live", handler=self.describe_live,
                     summary="What can be chosen, and how many places there are.", answer={"type": "object"}),
            Endpoint(method="POST", path="/api/live", handler=self.prepare_live, status=201,
                     summary="Prepare a live session; its WebSocket is open to you for 30 seconds, once.",
                     body=LIVE_ORDER_SCHEMA, answer=LIVE_SESSION_SCHEMA, errors=(400, 404, 422, 503)),
        ]  # fmt: skip

    @property
    def routes(self) -> list[WebSocketRoute]:
        """The WebSocket."""
        return [WebSocketRoute("/api/live/{session_id}", self.serve_live)]

    async def describe_live(self, _request: Request) -> Response:
        """Sizes, emotions and places, and whether faces answer."""
        places = {"places": self.admission.max_sessions, "taken": self.admission.taken_count}
        choices = {
            "sizes": LIVE_SIZES,
            "emotions": list_emotions(),
            "converse": self._studio.settings.converse,
        }
        return JSONResponse(choices | places)

    async def prepare_live(self, request: Request) -> Response:
        """Check an order, and prepare its portrait."""
        values = await read_json_object(request)
        if values.pop("consent", None) is not True:
            problem = "nobody said that the person in the picture agreed to be animated"
            raise RequestRefused(400, "no-consent", problem, "ask them, then send consent: true")
        order = parse_live_order(values)
        if self._studio.is_draining:
            raise RequestRefused(503, "ending", "the server is about to end", "try again later")
        upload = self._studio.storage.find_upload(order.portrait, "portrait", request.state.owner)
        if upload is None:
            raise RequestRefused(404, "not-found", "there is no such portrait", "upload it again")
        session = await self.admission.prepare_session(
            request.state.owner,
            order,
            self._studio.storage.locate_upload(upload) / CONTENT_NAME,
            upload.name,
            self._studio.choose_marks(LIVE_ENGINE, order.language),
        )
        width, height = session.actor.size
        answer = {"id": session.id, "socket": f"/api/live/{session.id}", "width": width, "height": height}
        return JSONResponse(answer | {"fps": float(LiveOptions().fps)}, 201)

    async def serve_live(self, websocket: WebSocket) -> None:
        """Run a prepared session until its client leaves; others are refused."""
        visitor = self._authenticator.find_session(websocket)
        if visitor is None or not visitor.is_valid:
            answer = describe_error("no-session", "there is no session, or it has expired")
            await websocket.send_denial_response(JSONResponse(answer, 401))
            return
        prepared = self.admission.take_session(websocket.path_params["session_id"], visitor.owner)
        if prepared is None:
            answer = describe_error("not-found", "there is no such session", "prepare one: POST /api/live")
            await websocket.send_denial_response(JSONResponse(answer, 404))
            return
        websocket.state.prepared = prepared
        self.admission.running_count += 1
        try:
            await self._sockets.serve_socket(websocket)
        finally:
            self.admission.running_count -= 1


def _open_session(websocket: WebSocket) -> LiveSession:
    prepared: PreparedSession = websocket.state.prepared
    return prepared.open_session()

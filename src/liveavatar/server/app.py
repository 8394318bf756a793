"""Builds the application: the guard, the tables of endpoints, the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from liveavatar.errors import LiveAvatarError
from liveavatar.server.converse import create_conversation_opener
from liveavatar.server.http.authentication import Authenticator
from liveavatar.server.http.endpoints import Endpoint, build_routes, describe_api
from liveavatar.server.http.errors import (
    RequestRefused,
    answer_failure,
    answer_http_error,
    answer_refusal,
    answer_system_error,
    describe_error,
)
from liveavatar.server.http.guard import RequestGuard
from liveavatar.server.live.endpoints import LiveEndpoints
from liveavatar.server.metrics import StudioMetrics
from liveavatar.server.settings import ServerSettings
from liveavatar.server.studio.endpoints import StudioEndpoints
from liveavatar.server.studio.studio import Studio

STATIC_FOLDER = Path(str(resources.files("liveavatar.server"))) / "static"

PAGES = (
    {"name": "studio", "module": "/static/studio/studio.js"},
    {"name": "live", "module": "/static/live/live.js"},
)
"""The tabs of the page, and the modules that draw them."""


def build_app(settings: ServerSettings) -> Starlette:
    """The application of one server; `app.state.studio` is its studio.

    Raises:
        OptionError: another server uses the folder of the settings, or conversations cannot be held as they say.
        OutputError: that folder cannot be written.
    """
    metrics = StudioMetrics()
    studio = Studio(settings, metrics)
    authenticator = Authenticator(studio.storage.session_tokens, settings.token)
    metrics.watch_value("liveavatar_jobs_waiting", "Videos that wait.", lambda: studio.jobs.waiting_count)
    metrics.watch_value(
        "liveavatar_event_streams", "Pages that watch.", lambda: studio.events.subscription_count
    )
    conversations = create_conversation_opener(settings)
    live = LiveEndpoints(studio, authenticator, conversations.open_conversation if conversations else None)
    metrics.watch_value(
        "liveavatar_live_sessions", "Live sessions that run.", lambda: live.admission.running_count
    )
    tables = [
        *authenticator.endpoints,
        *StudioEndpoints(studio, PAGES).endpoints,
        *live.endpoints,
        *_list_service_endpoints(studio, metrics),
    ]

    async def show_api(_request: Request) -> Response:
        return JSONResponse(describe_api(tables))

    @asynccontextmanager
    async def run_studio(_app: Starlette) -> AsyncIterator[None]:
        async with studio.run():
            yield

    app = Starlette(
        routes=[
            *build_routes(tables, authenticator.require_session),
            *live.routes,
            Route("/openapi.json", show_api),
            Route("/", _show_page),
            Mount("/static", StaticFiles(directory=STATIC_FOLDER)),
        ],
        middleware=[Middleware(RequestGuard, host_names=settings.host_names)],
        exception_handlers={
            RequestRefused: answer_refusal,
            LiveAvatarError: answer_failure,
            HTTPException: answer_http_error,
            OSError: answer_system_error,
        },
        lifespan=run_studio,
    )
    app.state.studio = studio
    return app


async def _show_page(_request: Request) -> Response:
    return FileResponse(STATIC_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


def _list_service_endpoints(studio: Studio, metrics: StudioMetrics) -> list[Endpoint]:
    """What operators ask: is it well, and what does it do."""

    async def show_health(_request: Request) -> Response:
        if studio.is_draining:
            return JSONResponse(describe_error("ending", "the server is about to end"), 503)
        return JSONResponse({"status": "ok"})

    async def show_metrics(_request: Request) -> Response:
        return metrics.answer_request()

    return [
        Endpoint(method="GET", path="/healthz", handler=show_health, summary="200 while it takes work.",
                 answer={"type": "object"}, errors=(503,), is_open=True),
        Endpoint(method="GET", path="/metrics", handler=show_metrics, summary="Figures for Prometheus.",
                 answer="text/plain"),
    ]  # fmt: skip

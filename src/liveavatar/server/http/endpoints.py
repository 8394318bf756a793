"""One table for the routes and for the OpenAPI document that describes them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from liveavatar import __version__

Handler = Callable[[Request], Awaitable[Response]]

JSON_BYTES = 65_536
"""Most bytes of a body that is JSON."""

_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("code", "problem", "remedy")},
        }
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A method of a path. `path` is Starlette's, such as `/api/jobs/{job_id}`.

    `body` and `answer` are JSON schemas, or media types such as "video/mp4"; None is no content. `query` describes
    parameters by their names. `max_bytes` limits the body. `is_open` is for what needs no session.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    status: int = 200
    body: dict[str, Any] | str | None = None
    answer: dict[str, Any] | str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    max_bytes: int = JSON_BYTES
    is_open: bool = False


def build_routes(endpoints: Iterable[Endpoint], require_session: Callable[[Handler], Handler]) -> list[Route]:
    """The routes of a table. `require_session` wraps the handlers of what is not open to everybody."""
    return [
        Route(
            endpoint.path,
            endpoint.handler if endpoint.is_open else require_session(endpoint.handler),
            methods=[endpoint.method],
            max_body_size=endpoint.max_bytes,
        )
        for endpoint in endpoints
    ]


def describe_api(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a table."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _describe_operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "liveavatar",
            "version": __version__,
            "description": "One portrait and any speech in, a talking video out. POST /api/session first; send "
            "its token as `Authorization: Bearer`. Errors have a code, what is wrong, and what to do.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR_SCHEMA},
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe_operation(endpoint: Endpoint) -> dict[str, Any]:
    statuses = sorted({*endpoint.errors, *(() if endpoint.is_open else (401,)), 403})
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": endpoint.handler.__name__,
        "responses": {
            str(endpoint.status): _describe_answer(endpoint.status, endpoint.answer),
            **{
                str(status): _describe_answer(status, {"$ref": "#/components/schemas/Error"})
                for status in statuses
            },
        },
        "security": [] if endpoint.is_open else [{"session": []}],
    }
    names = [part.strip("{}") for part in endpoint.path.split("/") if part.startswith("{")]
    parameters = [_describe_parameter(name, "path", "") for name in names]
    parameters += [_describe_parameter(name, "query", text) for name, text in endpoint.query.items()]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True} | _describe_content(endpoint.body)
    return operation


def _describe_answer(status: int, content: dict[str, Any] | str | None) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase} | _describe_content(content)


def _describe_parameter(name: str, place: str, text: str) -> dict[str, Any]:
    description = {"description": text} if text else {}
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": {"type": "string"},
    } | description


def _describe_content(content: dict[str, Any] | str | None) -> dict[str, Any]:
    if content is None:
        return {}
    if isinstance(content, str):
        return {"content": {content: {"schema": {"type": "string", "format": "binary"}}}}
    return {"content": {"application/json": {"schema": content}}}

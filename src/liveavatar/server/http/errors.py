"""Errors as answers: JSON with a code, what is wrong, and what to do."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from liveavatar.errors import LiveAvatarError, OptionError, OutputError
from liveavatar.files import describe_write_error

_NO_HEADERS: Mapping[str, str] = {}


class RequestRefused(Exception):  # noqa: N818  (a state, not a fault)
    """A request that is answered with an error. `code` is for programs, `problem` and `remedy` are for people."""

    def __init__(
        self, status: int, code: str, problem: str, remedy: str = "", headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.headers = headers
        self.content = describe_error(code, problem, remedy)


def describe_error(code: str, problem: str, remedy: str = "") -> dict[str, dict[str, str]]:
    """The body of an error."""
    return {"error": {"code": code, "problem": problem, "remedy": remedy}}


async def answer_refusal(_request: Request, error: Exception) -> Response:
    """The answer to a `RequestRefused`."""
    assert isinstance(error, RequestRefused)  # noqa: S101  (so it is registered)
    return JSONResponse(error.content, error.status, headers=dict(error.headers))


async def answer_failure(_request: Request, error: Exception) -> Response:
    """The answer to an error of the package: what was sent cannot be used."""
    assert isinstance(error, LiveAvatarError)  # noqa: S101
    if isinstance(error, OutputError):  # of a file of the server
        problem = f"the server has a problem: {error.problem.rpartition(': ')[2]}"
        return JSONResponse(describe_error("system", problem, "tell its operator"), 507)
    status = 400 if isinstance(error, OptionError) else 422
    return JSONResponse(describe_error(name_error(error), error.problem, error.remedy), status)


async def answer_system_error(_request: Request, error: Exception) -> Response:
    """The answer to an error of the system, such as a full disk. It names no path of the server."""
    assert isinstance(error, OSError)  # noqa: S101
    reason, _ = describe_write_error(error.errno, error.strerror)
    return JSONResponse(
        describe_error("system", f"the server has a problem: {reason}", "tell its operator"), 507
    )


async def answer_http_error(_request: Request, error: Exception) -> Response:
    """The answer to an error of the routing, such as a page that does not exist."""
    assert isinstance(error, HTTPException)  # noqa: S101
    code = {404: "not-found", 405: "wrong-method", 413: "too-large"}.get(error.status_code, "refused")
    return JSONResponse(describe_error(code, error.detail), error.status_code, headers=error.headers)


def name_error(error: LiveAvatarError) -> str:
    """The code of an error of the package: "portrait" of a `PortraitError`."""
    return type(error).__name__.removesuffix("Error").lower()

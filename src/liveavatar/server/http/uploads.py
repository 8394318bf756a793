"""Receives one file: as the body of a request, or as the field `file` of a form (multipart/form-data)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request

from liveavatar.files import describe_path
from liveavatar.server.http.errors import RequestRefused

_PIECE_SECONDS = 30.0
"""A client that sends nothing for this long is gone."""
_FORM_SECONDS = 600.0
"""How long a form may take, of which the pieces are not seen."""
_PIECE_BYTES = 1 << 20  # of a form's file
_MAX_NAME = 120  # characters of a file's name


async def receive_file(request: Request, path: Path) -> str:
    """Write the file of a request to `path` as it comes.

    Gives what the client calls it, on one line ("" if nothing): that is shown, and never opened.

    Raises:
        RequestRefused: it is empty or missing, or the client went away or stood still.
    """
    name = request.query_params.get("name", "")
    with path.open("xb") as file:
        async with _open_pieces(request) as (given_name, pieces):
            async for piece in pieces:
                file.write(piece)
        if not file.tell():
            raise RequestRefused(400, "empty", "the file is empty", "send its bytes as the body")
    return describe_path(Path(name or given_name).name)[:_MAX_NAME]


@asynccontextmanager
async def _open_pieces(request: Request) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """The name of a file in a form, or "", and its bytes."""
    try:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            yield "", _read_body(request)
            return
        async with asyncio.timeout(_FORM_SECONDS), request.form(max_files=1, max_fields=4) as form:
            field = form.get("file")
            if not isinstance(field, UploadFile):
                raise RequestRefused(400, "no-file", "the form has no file", "send it as the field `file`")
            yield field.filename or "", _read_field(field)
    except ClientDisconnect as error:
        raise RequestRefused(400, "cut-off", "the upload was cut off") from error
    except TimeoutError as error:
        raise RequestRefused(408, "too-slow", "nothing came for a while", "try again") from error


async def _read_body(request: Request) -> AsyncIterator[bytes]:
    pieces = aiter(request.stream())
    while (piece := await asyncio.wait_for(anext(pieces, None), _PIECE_SECONDS)) is not None:
        yield piece


async def _read_field(field: UploadFile) -> AsyncIterator[bytes]:
    while piece := await field.read(_PIECE_BYTES):
        yield piece

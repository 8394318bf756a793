"""One file of a request, however it is sent and cut into pieces."""

import asyncio
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from liveavatar.server.http import uploads
from liveavatar.server.http.errors import RequestRefused, answer_refusal
from liveavatar.server.http.uploads import receive_file
from server.conftest import ADDRESS


@pytest.fixture
def receiver(tmp_path: Path) -> TestClient:
    """A client of an application that writes into the file "received"."""

    async def receive(request: Request) -> Response:
        return JSONResponse(await receive_file(request, tmp_path / "received"))

    routes = [Route("/", receive, methods=["POST"], max_body_size=1000)]
    return TestClient(
        Starlette(routes=routes, exception_handlers={RequestRefused: answer_refusal}), base_url=ADDRESS
    )


@pytest.mark.parametrize("pieces", [[b"abc"], [b"a", b"b", b"c"], [b"", b"abc"]])
def test_a_body_is_written_in_any_pieces(receiver: TestClient, tmp_path: Path, pieces: list[bytes]) -> None:
    answer = receiver.post("/", params={"name": "x/../人\n.jpg"}, content=iter(pieces))
    assert answer.json() == "人\\n.jpg"
    assert (tmp_path / "received").read_bytes() == b"abc"


@pytest.mark.parametrize(("name", "shown"), [("../../脸.jpg", "脸.jpg"), ("a" * 300, "a" * 120)])
def test_a_form_gives_its_file_and_its_name(
    receiver: TestClient, tmp_path: Path, name: str, shown: str
) -> None:
    assert receiver.post("/", files={"file": (name, b"abc")}).json() == shown
    assert (tmp_path / "received").read_bytes() == b"abc"


@pytest.mark.parametrize("files", [{"other": b"abc"}, {"file": b""}])
def test_a_form_without_a_file_is_refused(receiver: TestClient, files: dict[str, bytes]) -> None:
    assert receiver.post("/", files=files).status_code == 400


def test_a_broken_form_is_refused(receiver: TestClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert receiver.post("/", content=b"--y\r\nnothing", headers=headers).status_code == 400


def test_a_large_form_is_refused(receiver: TestClient) -> None:
    assert receiver.post("/", files={"file": b"x" * 2000}).status_code == 413


def test_one_that_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_PIECE_SECONDS", 0.01)
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    request = Request(scope, receive=asyncio.Event().wait)  # type: ignore[arg-type]  # nothing ever comes
    with pytest.raises(RequestRefused) as refused:
        asyncio.run(receive_file(request, tmp_path / "received"))
    assert refused.value.status == 408

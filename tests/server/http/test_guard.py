"""Requests that another site makes through a visitor's browser, and the headers of every answer."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from liveavatar.server.app import build_app
from liveavatar.server.http.guard import SECURITY_HEADERS
from liveavatar.server.settings import ServerSettings
from server.conftest import ADDRESS


@pytest.fixture
def visitor(make_settings: Callable[..., ServerSettings]) -> TestClient:
    return TestClient(
        build_app(make_settings(host_names=("avatar.example",), token="x" * 16)), base_url=ADDRESS
    )


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:8642", "[::1", "a b"]
)
def test_a_name_that_is_not_ours_is_refused(visitor: TestClient, host: str) -> None:
    answer = visitor.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "foreign"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8642", "localhost", "LOCALHOST:1", "[::1]:8642", "192.0.2.7", "avatar.example"]
)
def test_addresses_and_names_of_the_operator_are_ours(visitor: TestClient, host: str) -> None:
    assert visitor.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1:9999", "null", "http://localhost:8642"]
)
@pytest.mark.parametrize("path", ["/api/session", "/api/jobs", "/api/portraits"])
def test_other_sites_cannot_post(visitor: TestClient, origin: str, path: str) -> None:
    assert visitor.post(path, headers={"Origin": origin}).status_code == 403


def test_our_own_page_can(visitor: TestClient) -> None:
    headers = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
    assert visitor.post("/api/session", headers=headers, json={"token": "x" * 16}).status_code == 200


def test_other_sites_cannot_embed_but_may_link(visitor: TestClient) -> None:
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert visitor.get("/", headers=embedded).status_code == 403
    assert visitor.get("/", headers=linked).status_code == 200
    assert visitor.post("/api/session", headers=linked).status_code == 403


def test_other_sites_cannot_open_a_websocket(visitor: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        visitor.websocket_connect("/live", headers={"Origin": "https://evil.example"}),
    ):
        pass
    assert closed.value.code == 1008


@pytest.mark.parametrize(
    "path", ["/", "/static/page.js", "/static/page.css", "/openapi.json", "/healthz", "/nothing", "/api/jobs"]
)
def test_every_answer_is_confined(visitor: TestClient, path: str) -> None:
    answer = visitor.get(path)
    assert {name: answer.headers[name] for name in SECURITY_HEADERS} == dict(SECURITY_HEADERS)
    assert "cache-control" in answer.headers


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/..%5capp.py"]
)
def test_only_the_files_of_the_page_are_served(visitor: TestClient, path: str) -> None:
    assert visitor.get(path).status_code == 404

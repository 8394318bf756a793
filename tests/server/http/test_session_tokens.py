"""Sessions: nobody makes one but the server, none lasts, and nobody sees what belongs to another."""

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from liveavatar.server.app import build_app
from liveavatar.server.http import authentication
from liveavatar.server.http.session_tokens import SESSION_SECONDS, SessionTokens
from liveavatar.server.settings import ServerSettings
from server.conftest import ADDRESS, sign_in

TOKEN = "correct horse battery"  # noqa: S105
TOKENS = SessionTokens(bytes(32))
OWNER = "ab" * 16


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_nothing_but_a_token_is_one(text: str) -> None:
    assert TOKENS.read_token(text) is None


@given(st.integers(0, len(TOKENS.issue_token(OWNER)) - 1), st.characters(codec="ascii"))
def test_an_altered_token_is_none(place: int, character: str) -> None:
    token = TOKENS.issue_token(OWNER)
    altered = token[:place] + character + token[place + 1 :]
    session = TOKENS.read_token(altered)
    assert session is None or session == TOKENS.read_token(
        token
    )  # two bits of the last character mean nothing


def test_another_key_makes_other_tokens() -> None:
    assert SessionTokens(SessionTokens.create_key()).read_token(TOKENS.issue_token(OWNER)) is None


def test_a_session_ends_but_says_whose_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    token = TOKENS.issue_token(OWNER)
    session = TOKENS.read_token(token)
    assert session is not None
    assert session.is_valid
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + SESSION_SECONDS + 1)
    assert session.owner == OWNER
    assert not session.is_valid


@pytest.fixture
def visitor(make_settings: Callable[..., ServerSettings], monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(authentication, "_WRONG_TOKEN_SECONDS", 0.0)
    return TestClient(build_app(make_settings(token=TOKEN)), base_url=ADDRESS)


@pytest.mark.parametrize("given_token", [None, "", "wrong", TOKEN + " ", "\udcff", 7, ["a"]])
def test_only_those_who_know_the_token_come_in(visitor: TestClient, given_token: object) -> None:
    answer = visitor.post("/api/session", content=json.dumps({"token": given_token}))
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "wrong-token"
    assert not answer.cookies
    assert visitor.get("/api/jobs").status_code == 401


def test_a_browser_keeps_its_session_in_a_cookie_that_scripts_and_other_sites_cannot_use(
    visitor: TestClient,
) -> None:
    answer = visitor.post("/api/session", json={"token": TOKEN})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert visitor.get("/api/jobs").json() == {"jobs": []}


def test_a_session_is_renewed_without_the_token_and_stays_whose_it_is(
    visitor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(visitor, TOKEN)
    first = read_owner(visitor)
    sign_in(visitor)
    assert read_owner(visitor) == first
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + SESSION_SECONDS + 1)
    assert visitor.get("/api/jobs").status_code == 401
    assert visitor.post("/api/session").status_code == 401
    sign_in(visitor, TOKEN)
    assert read_owner(visitor) == first


def read_owner(visitor: TestClient) -> str:
    """The owner of the client's session."""
    studio = visitor.app.state.studio  # type: ignore[attr-defined]
    session = studio.storage.session_tokens.read_token(visitor.headers["Authorization"].split()[1])
    return str(session.owner)


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b'"text"', b"[" * 60_000])
def test_a_body_that_is_no_object_is_refused(visitor: TestClient, body: bytes) -> None:
    answer = visitor.post("/api/session", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "not-json"


def test_a_large_body_is_refused(visitor: TestClient) -> None:
    assert visitor.post("/api/session", content=b" " * 70_000).status_code == 413

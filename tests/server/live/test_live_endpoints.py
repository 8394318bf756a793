"""Who may run a live session, and what is left of it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from live.fakes import NO_MARKS, HearingActor
from liveavatar.errors import OptionError
from liveavatar.server.http.authentication import LOCAL_OWNER
from liveavatar.server.live import admission
from liveavatar.server.live.admission import LiveAdmission
from liveavatar.server.live.orders import LiveOrder, parse_live_order
from liveavatar.server.settings import ServerLimits, ServerSettings
from liveavatar.server.studio.storage import CONTENT_NAME, Storage
from server.conftest import open_client

SOCKETS = "ws://127.0.0.1:8642"
PATIENCE = 60.0  # seconds; only a hang takes so long


class FeelingActor(HearingActor):
    """Its sessions have the one emotion that is asked for."""

    def session(self, *arguments: Any) -> Any:
        session = super().session(*arguments)
        session.check_emotion = session.set_emotion = lambda *_values: None  # type: ignore[attr-defined]
        return session


@pytest.fixture
def live_client(
    make_settings: Callable[..., ServerSettings], monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """A client of a server with two places, whose portraits need no models."""
    monkeypatch.setattr(LiveAdmission, "_open_actor", lambda *_arguments: FeelingActor(size=(64, 64)))
    limits = ServerLimits(live_sessions=2)
    with open_client(make_settings(limits=limits, drain_seconds=0.0, marks=NO_MARKS)) as client:
        yield client


def add_portrait(client: TestClient, owner: str = LOCAL_OWNER) -> str:
    storage: Storage = client.app.state.studio.storage  # type: ignore[attr-defined]
    with storage.receive_upload() as folder:
        (folder / CONTENT_NAME).write_bytes(b"a picture")
        return storage.keep_upload(folder, "portrait", owner, "face.jpg", {"level": "ok"}).id


def order_session(client: TestClient, **values: object) -> Any:
    return client.post("/api/live", json={"portrait": add_portrait(client), "consent": True} | values)


def count_sessions(client: TestClient) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith("liveavatar_live_sessions ")).split()[1])


def list_live_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("live-")]


def wait_until_free(client: TestClient) -> None:
    limit = time.monotonic() + PATIENCE
    while count_sessions(client) or list_live_threads():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_prepared_session_runs_once_and_its_threads_end(live_client: TestClient) -> None:
    answer = order_session(live_client, emotion="happy")
    assert answer.status_code == 201
    socket = SOCKETS + answer.json()["socket"]
    with live_client.websocket_connect(socket, headers=live_client.headers) as connection:
        assert connection.receive_json()["type"] == "session.created"
        assert connection.receive()["bytes"][0] in {1, 2}
        assert count_sessions(live_client) == 1
    wait_until_free(live_client)
    with (
        pytest.raises(WebSocketDenialResponse) as refusal,
        live_client.websocket_connect(socket, headers=live_client.headers),
    ):
        pass
    assert refusal.value.status_code == 404


def test_only_its_owner_may_connect(live_client: TestClient) -> None:
    socket = SOCKETS + order_session(live_client).json()["socket"]
    with (
        pytest.raises(WebSocketDenialResponse) as refusal,
        live_client.websocket_connect(socket, headers={"authorization": "Bearer nonsense"}),
    ):
        pass
    assert refusal.value.status_code == 401
    foreign = {"origin": "http://evil.example", **live_client.headers}
    with pytest.raises(WebSocketDisconnect), live_client.websocket_connect(socket, headers=foreign):
        pass


def test_portraits_of_others_and_portraits_without_consent_are_refused(live_client: TestClient) -> None:
    assert order_session(live_client, portrait=add_portrait(live_client, "f" * 32)).status_code == 404
    answer = order_session(live_client, consent=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no-consent")


def test_places_are_taken_from_the_request_on_and_given_back(
    live_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = SOCKETS + order_session(live_client).json()["socket"]
    with live_client.websocket_connect(socket, headers=live_client.headers) as connection:
        connection.receive_json()
        assert order_session(live_client).status_code == 201
        answer = order_session(live_client)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "at_capacity")
        assert answer.headers["Retry-After"]
    wait_until_free(live_client)
    monkeypatch.setattr(admission, "CONNECT_SECONDS", -1.0)
    for _ in range(3):  # who does not connect loses the place
        assert order_session(live_client).status_code == 201


@pytest.mark.parametrize(
    "values",
    [
        {"size": "4000x4000"},
        {"size": 7},
        {"background": "/etc/passwd"},
        {"background": "transparent"},
        {"emotion": "furious"},
        {"emotion": ["sad"]},
        {"options": []},
        {"options": {"motion": 9}},
        {"options": {"certificate": "/etc/passwd"}},
        {"language": 3},
        {"portrait": {}},
    ],
)
def test_orders_of_nonsense_are_refused(values: dict[str, Any]) -> None:
    assert LiveOrder(portrait="a").frame_size == (512, 512)
    with pytest.raises(OptionError):
        parse_live_order({"portrait": "a"} | values)


def test_orders_name_what_they_know() -> None:
    with pytest.raises(OptionError, match="path"):
        parse_live_order({"portrait": "a", "path": "/"})
    with pytest.raises(OptionError, match="portrait"):
        parse_live_order({})

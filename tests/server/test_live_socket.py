"""The WebSocket of a live session, with a client in the test's process."""

import base64
import json
import time
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from live.fakes import NO_MARKS, HearingActor
from liveavatar.live.session import LiveOptions, LiveSession
from liveavatar.server.live_socket import MAX_ERRORS, MEDIA_HEADER, LiveSocketServer

PATIENCE = 60.0  # seconds; only a hang takes so long
Event = dict[str, Any]


def build_server(max_sessions: int = 2) -> tuple[LiveSocketServer, TestClient]:
    options = LiveOptions(marks=NO_MARKS)
    server = LiveSocketServer(lambda _socket: LiveSession(HearingActor(size=(64, 64)), options), max_sessions)
    app = Starlette(routes=[WebSocketRoute("/live", server.serve_socket)])
    return server, TestClient(app)


def send_speech(socket: WebSocketTestSession, name: str, seconds: float) -> None:
    samples = np.full(round(24_000 * seconds), 9000, "<i2")
    delta = base64.b64encode(samples.tobytes()).decode()
    socket.send_json({"type": "response.output_audio.delta", "response_id": name, "delta": delta})


def receive_until(socket: WebSocketTestSession, kind: str) -> tuple[list[Event], list[bytes]]:
    """Events up to one of a type, and media."""
    events: list[Event] = []
    media: list[bytes] = []
    limit = time.monotonic() + PATIENCE
    while not events or events[-1]["type"] != kind:
        assert time.monotonic() < limit
        message = socket.receive()
        if message.get("bytes"):
            media.append(message["bytes"])
        else:
            events.append(json.loads(message["text"]))
    return events, media


def test_speech_goes_in_and_media_with_events_come_out() -> None:
    _, client = build_server()
    with client.websocket_connect("/live") as socket:
        send_speech(socket, "a", 0.3)
        socket.send_json({"type": "response.output_audio.done", "response_id": "a"})
        events, media = receive_until(socket, "output_audio_buffer.stopped")
    assert [event["type"] for event in events] == [
        "session.created", "output_audio_buffer.started", "output_audio_buffer.stopped",
    ]  # fmt: skip
    assert events[-1] == {
        "type": "output_audio_buffer.stopped",
        "response_id": "a",
        "audio_end_ms": 300,
        "interrupted": False,
    }
    headers = [MEDIA_HEADER.unpack(message[: MEDIA_HEADER.size]) for message in media]
    assert {kind for kind, *_ in headers} == {1, 2}
    first_picture = next(header for header in headers if header[0] == 1)
    assert first_picture[1] == 1  # a key frame
    for kind in (1, 2):
        times = [header[3] for header in headers if header[0] == kind]
        assert times == sorted(times)


def test_a_cancelled_response_is_cleared_and_stays_silent() -> None:
    _, client = build_server()
    with client.websocket_connect("/live") as socket:
        send_speech(socket, "a", 5)
        receive_until(socket, "output_audio_buffer.started")
        socket.send_json({"type": "response.cancel"})
        events, _ = receive_until(socket, "output_audio_buffer.stopped")
        assert [event["type"] for event in events] == [
            "output_audio_buffer.cleared", "output_audio_buffer.stopped",
        ]  # fmt: skip
        assert events[-1]["interrupted"]
        assert events[-1]["audio_end_ms"] < 5000
        send_speech(socket, "a", 1)  # still on its way when it was cancelled
        send_speech(socket, "b", 0.2)
        socket.send_json({"type": "response.output_audio.done", "response_id": "b"})
        events, media = receive_until(socket, "output_audio_buffer.stopped")
    assert {event["response_id"] for event in events} == {"b"}
    assert {MEDIA_HEADER.unpack(message[: MEDIA_HEADER.size])[2] for message in media} == {1}


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", "7", "{}", '{"type": "nonsense"}', '{"type": "response.output_audio.delta"}',
        '{"type": "response.output_audio.delta", "response_id": "a", "delta": "%%%"}',
        '{"type": "response.output_audio.delta", "response_id": "a", "delta": "AAAA", "rate": 3}',
        '{"type": "output_audio_buffer.delay", "delay_ms": "soon"}', "[" * 100_000, "x" * (1 << 21),
    ],
)  # fmt: skip
def test_garbage_is_answered_and_the_session_lives(text: str) -> None:
    _, client = build_server()
    with client.websocket_connect("/live") as socket:
        socket.send_text(text)
        events, _ = receive_until(socket, "error")
        assert events[-1]["error"]["message"]
        send_speech(socket, "fine", 0.1)
        receive_until(socket, "output_audio_buffer.started")


def test_a_client_of_garbage_alone_is_sent_away() -> None:
    server, client = build_server()
    with client.websocket_connect("/live") as socket:
        for _ in range(MAX_ERRORS):
            socket.send_bytes(b"\xff")
        with pytest.raises((WebSocketDisconnect, KeyError)):
            receive_until(socket, "never")
    wait_for_end(server)


def test_sessions_beyond_the_capacity_are_refused_with_503_and_freed_places_are_given() -> None:
    server, client = build_server(max_sessions=1)
    with client.websocket_connect("/live") as socket:
        receive_until(socket, "session.created")
        with pytest.raises(WebSocketDenialResponse) as refusal, client.websocket_connect("/live"):
            pass
        assert refusal.value.status_code == 503
        assert refusal.value.json()["error"]["code"] == "at_capacity"
    wait_for_end(server)
    with client.websocket_connect("/live") as socket:
        receive_until(socket, "session.created")


def wait_for_end(server: LiveSocketServer) -> None:
    limit = time.monotonic() + PATIENCE
    while server.session_count:
        assert time.monotonic() < limit
        time.sleep(0.01)

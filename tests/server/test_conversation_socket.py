"""A conversation over the live socket: a microphone goes in, turns and answers come out as events."""

import base64
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient, WebSocketTestSession

from live.fakes import NO_MARKS, HearingActor
from liveavatar.conversation.conversation import Conversation
from liveavatar.conversation.events import ConversationEvent
from liveavatar.conversation.history import Message
from liveavatar.conversation.partner import EchoPartner, Partner, SpeechPiece, Turn
from liveavatar.conversation.runner import ConversationRunner
from liveavatar.ears.turns import TurnDetector
from liveavatar.errors import WeightsError
from liveavatar.frames import Samples
from liveavatar.live.session import LiveOptions, LiveSession
from liveavatar.server.live_socket import LiveSocketServer

PATIENCE = 60.0  # seconds; only a hang takes so long
Event = dict[str, Any]


class Parrot:
    """Says the words of a turn for `seconds`, and takes them for their sound."""

    needs_words = True

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def read_turn(self, turn: Turn) -> str:
        return turn.text or "a sound"

    def answer_turn(self, turn: Turn, _messages: Sequence[Message]) -> Iterator[SpeechPiece]:
        samples = np.full(round(16_000 * self.seconds), 0.1, np.float32)
        yield SpeechPiece(samples=samples, rate=16_000, text=self.read_turn(turn))


def build_client(partner: Partner) -> TestClient:
    def open_conversation(
        session: LiveSession, publish: Callable[[ConversationEvent], None]
    ) -> ConversationRunner:
        detector = TurnDetector(lambda _: 0.9)
        return ConversationRunner(Conversation(session, detector, partner, publish))

    return wrap_server(open_conversation)


def wrap_server(open_conversation: Any) -> TestClient:
    def open_session(_socket: object) -> LiveSession:
        return LiveSession(HearingActor(size=(64, 64)), LiveOptions(marks=NO_MARKS))

    server = LiveSocketServer(open_session, 2, open_conversation)
    return TestClient(Starlette(routes=[WebSocketRoute("/live", server.serve_socket)]))


def receive_until(socket: WebSocketTestSession, kind: str) -> list[Event]:
    events: list[Event] = []
    limit = time.monotonic() + PATIENCE
    while not events or events[-1]["type"] != kind:
        assert time.monotonic() < limit
        message = socket.receive()
        if message.get("text"):
            events.append(json.loads(message["text"]))
    return events


def send_sound(socket: WebSocketTestSession, sound: Samples, rate: int = 16_000) -> None:
    for start in range(0, len(sound), rate // 10):
        piece = (sound[start : start + rate // 10] * 32767).astype("<i2").tobytes()
        audio = base64.b64encode(piece).decode()
        socket.send_json({"type": "input_audio_buffer.append", "audio": audio, "rate": rate})


def send_text(socket: WebSocketTestSession, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    socket.send_json({"type": "conversation.item.create", "item": item})
    socket.send_json({"type": "response.create"})


def list_kinds(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def test_an_echo_answers_a_microphone(babble: Samples) -> None:
    with build_client(EchoPartner()).websocket_connect("/live") as socket:
        receive_until(socket, "conversation.created")
        send_sound(socket, np.concatenate([babble[:14_000], np.zeros(8_000, np.float32)]))
        events = receive_until(socket, "response.done")
    named = {event["type"]: event for event in events}
    order = [
        "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "response.created",
    ]  # fmt: skip
    assert [kind for kind in list_kinds(events) if kind in order] == order
    assert named["response.created"]["item_id"] == named[order[0]]["item_id"]
    name = named["response.created"]["response"]["id"]
    assert named["output_audio_buffer.started"]["response_id"] == name
    assert named["output_audio_buffer.stopped"]["response_id"] == name
    assert named["response.done"]["response"] == {"id": name, "status": "completed", "transcript": ""}


def test_typed_text_is_answered_and_speaking_interrupts(babble: Samples) -> None:
    with build_client(Parrot(20.0)).websocket_connect("/live") as socket:
        receive_until(socket, "conversation.created")
        send_text(socket, "one two three four")
        events = receive_until(socket, "output_audio_buffer.started")
        assert "response.output_audio_transcript.delta" in list_kinds(events)
        send_sound(socket, babble[:14_000])
        events = receive_until(socket, "response.done")
    kinds = list_kinds(events)
    assert "output_audio_buffer.cleared" in kinds
    assert "input_audio_buffer.speech_started" in kinds
    truncated = events[kinds.index("conversation.item.truncated")]
    assert truncated["audio_end_ms"] < 20_000
    assert events[-1]["response"]["status"] == "cancelled"
    assert events[-1]["response"]["transcript"] != "one two three four"


def test_a_cancelled_answer_is_told() -> None:
    with build_client(Parrot(20.0)).websocket_connect("/live") as socket:
        receive_until(socket, "conversation.created")
        send_text(socket, "hello")
        receive_until(socket, "output_audio_buffer.started")
        socket.send_json({"type": "response.cancel"})
        assert receive_until(socket, "response.done")[-1]["response"]["status"] == "cancelled"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "input_audio_buffer.append"},
        {"type": "input_audio_buffer.append", "audio": "%"},
        {"type": "input_audio_buffer.append", "audio": "AAAA", "rate": 7},
        {"type": "conversation.item.create", "item": {"type": "message", "role": "system", "content": []}},
        {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [7]}},
        {"type": "conversation.item.create", "item": 7},
        {"type": "response.create"},
    ],
)
def test_a_wrong_event_is_answered_and_the_conversation_goes_on(event: Event) -> None:
    with build_client(Parrot(0.1)).websocket_connect("/live") as socket:
        receive_until(socket, "conversation.created")
        socket.send_json(event)
        assert receive_until(socket, "error")[-1]["error"]["message"]
        send_text(socket, "hello")
        assert receive_until(socket, "response.done")[-1]["response"]["transcript"] == "hello"


def test_a_microphone_in_a_server_without_conversation_is_an_error() -> None:
    with wrap_server(None).websocket_connect("/live") as socket:
        send_sound(socket, np.zeros(1_600, np.float32))
        receive_until(socket, "error")


def test_a_conversation_without_its_model_is_an_error_and_the_session_goes_on() -> None:
    def fail(_session: LiveSession, _publish: object) -> ConversationRunner:
        raise WeightsError("the model is not there", "fetch it")

    with wrap_server(fail).websocket_connect("/live") as socket:
        assert "fetch it" in receive_until(socket, "error")[-1]["error"]["message"]
        delta = base64.b64encode(bytes(9_600)).decode()
        socket.send_json({"type": "response.output_audio.delta", "response_id": "a", "delta": delta})
        receive_until(socket, "output_audio_buffer.started")

"""Clients of endpoints against a real server: what they send, what they make of answers, and what goes wrong."""

import io
import json
import wave
from collections.abc import Callable, Iterator

import httpx2
import numpy as np
import pytest

from liveavatar.conversation.history import Message
from liveavatar.conversation.partner import SpokenPartner, Turn
from liveavatar.errors import EndpointError
from liveavatar.server.endpoints.chat import MAX_ANSWER_CHARACTERS, EndpointResponder
from liveavatar.server.endpoints.endpoint_client import EndpointClient
from liveavatar.server.endpoints.endpoint_settings import EndpointSettings
from liveavatar.server.endpoints.speech import MAX_CLAUSE_SECONDS, EndpointSpeaker
from liveavatar.server.endpoints.transcription import EndpointRecogniser
from server.endpoints.services import Service, run_service

KEY = "sk-very-secret"
SOUND = np.linspace(-0.5, 0.5, 8_000, dtype=np.float32)
HELLO = (Message(role="user", text="Hello?"),)
QUICK = httpx2.Timeout(0.3)


@pytest.fixture
def service() -> Iterator[Service]:
    with run_service(Service()) as served:
        yield served


@pytest.fixture
def open_part(service: Service) -> Iterator[Callable[[str], EndpointClient]]:
    opened: list[EndpointClient] = []

    def open_client(part: str) -> EndpointClient:
        settings = EndpointSettings(url=service.url, model="small", key=KEY, voice="anna")
        opened.append(EndpointClient(part, settings, QUICK))
        return opened[-1]

    yield open_client
    for client in opened:
        client.close()


def write_events(*texts: str) -> bytes:
    lines = [json.dumps({"choices": [{"delta": {"content": text}}]}) for text in texts]
    return "".join(f"data: {line}\r\n\r\n" for line in lines).encode()


def test_a_turn_is_sent_as_a_file_and_read(
    service: Service, open_part: Callable[[str], EndpointClient]
) -> None:
    service.pieces = [b'{"text": " Hello', b' there. "}']
    assert EndpointRecogniser(open_part("asr")).recognise_speech(SOUND) == "Hello there."
    path, headers, body = service.asked[0]
    assert path == "/v1/audio/transcriptions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert b'name="model"\r\n\r\nsmall' in body
    with wave.open(io.BytesIO(body[body.index(b"RIFF") :])) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (16_000, 1, 8_000)
        samples = np.frombuffer(sound.readframes(8_000), "<i2")
    np.testing.assert_allclose(samples / 32767, SOUND, atol=1e-4)


def test_an_answer_is_streamed_however_it_is_cut(
    service: Service, open_part: Callable[[str], EndpointClient]
) -> None:
    begin = (
        b': a comment\n\ndata: {"choices": [{"delta": {"role": "assistant"}}]}\n\ndata: {"choices": []}\n\n'
    )
    whole = begin + write_events("Hel", "lo, 你", "好.") + b"data: [DONE]\n\nnothing"
    for length in (1, 7, len(whole)):
        service.pieces = [whole[start : start + length] for start in range(0, len(whole), length)]
        assert "".join(EndpointResponder(open_part("llm")).stream_answer(HELLO)) == "Hello, 你好."
    path, _, body = service.asked[0]
    asked = json.loads(body)
    assert path == "/v1/chat/completions"
    assert (asked["model"], asked["stream"]) == ("small", True)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["messages"][1]["content"] == "Hello?"


def test_words_come_while_the_rest_is_written(
    service: Service, open_part: Callable[[str], EndpointClient]
) -> None:
    service.pieces, service.stalls = [write_events("First. ")], True
    answer = EndpointResponder(open_part("llm")).stream_answer(HELLO)
    assert next(answer) == "First. "
    with pytest.raises(EndpointError, match="too slow"):
        next(answer)


def test_an_endless_answer_is_cut(service: Service, open_part: Callable[[str], EndpointClient]) -> None:
    service.pieces = [write_events("word " * 100) for _ in range(20)]
    text = "".join(EndpointResponder(open_part("llm")).stream_answer(HELLO))
    assert len(text) == MAX_ANSWER_CHARACTERS


def test_sound_comes_in_pieces_of_any_length(
    service: Service, open_part: Callable[[str], EndpointClient]
) -> None:
    samples = np.arange(-500, 500, dtype="<i2")
    data = samples.tobytes()
    service.pieces = [data[:1], data[1:4], data[4:999], data[999:]]
    pieces = list(EndpointSpeaker(open_part("tts")).speak_clause("Hello."))
    np.testing.assert_array_equal(np.concatenate([piece.samples for piece in pieces]) * 32768, samples)
    path, _, body = service.asked[0]
    assert path == "/v1/audio/speech"
    assert json.loads(body) == {
        "model": "small", "voice": "anna", "input": "Hello.", "response_format": "pcm",
    }  # fmt: skip


def ask_all_parts(open_part: Callable[[str], EndpointClient]) -> list[Callable[[], object]]:
    return [
        lambda: EndpointRecogniser(open_part("asr")).recognise_speech(SOUND),
        lambda: list(EndpointResponder(open_part("llm")).stream_answer(HELLO)),
        lambda: list(EndpointSpeaker(open_part("tts")).speak_clause("Hello.")),
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "_KEY"),
        (403, "_KEY"),
        (404, "_MODEL"),
        (429, "later"),
        (500, "answers 500"),
        (302, "answers 302"),
    ],
)
def test_a_refusal_is_one_line_without_the_key(
    service: Service, open_part: Callable[[str], EndpointClient], status: int, expected: str
) -> None:
    service.status, service.pieces = status, [KEY.encode()]
    service.headers = {"Location": f"{service.url}/elsewhere"}
    for ask in ask_all_parts(open_part):
        with pytest.raises(EndpointError, match=expected) as caught:
            ask()
        assert KEY not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert len(service.asked) == 3  # a redirection is not followed


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"text": 7}', b"7", b"[" * 60_000])
def test_a_text_that_is_none(
    service: Service, open_part: Callable[[str], EndpointClient], body: bytes
) -> None:
    service.pieces = [body]
    with pytest.raises(EndpointError, match="sends no text"):
        EndpointRecogniser(open_part("asr")).recognise_speech(SOUND)


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"7", b'{"choices": 7}', b'{"choices": [7]}', b'{"error": {}}']
)
def test_an_answer_that_is_none(
    service: Service, open_part: Callable[[str], EndpointClient], data: bytes
) -> None:
    service.pieces = [b"data: " + data + b"\n\n"]
    with pytest.raises(EndpointError, match="something else"):
        list(EndpointResponder(open_part("llm")).stream_answer(HELLO))


def test_too_much_is_not_kept(service: Service, open_part: Callable[[str], EndpointClient]) -> None:
    service.pieces = [bytes(100_000)] * (2 + MAX_CLAUSE_SECONDS * 48_000 // 100_000)
    for ask in ask_all_parts(open_part):
        with pytest.raises(EndpointError, match="more than fits"):
            ask()


def test_silence_of_a_voice_and_of_a_server_are_errors(
    service: Service, open_part: Callable[[str], EndpointClient]
) -> None:
    with pytest.raises(EndpointError, match="no sound"):
        list(EndpointSpeaker(open_part("tts")).speak_clause("Hello."))
    service.stalls = True
    for ask in ask_all_parts(open_part):
        with pytest.raises(EndpointError, match="too slow"):
            ask()


def test_a_server_that_is_not_there() -> None:
    client = EndpointClient("llm", EndpointSettings(url="http://127.0.0.1:1/v1", key=KEY))
    with pytest.raises(EndpointError, match="cannot be reached; check LIVEAVATAR_LLM_URL"):
        list(EndpointResponder(client).stream_answer(HELLO))
    client.close()


def test_a_turn_goes_through_all_three() -> None:
    heard, answered, spoken = Service(), Service(), Service()
    heard.pieces = [b'{"text": "Hello?"}']
    answered.pieces = [write_events("Good morning to you. ", "Sit down.")]
    spoken.pieces = [bytes(4_800)]
    with run_service(heard), run_service(answered), run_service(spoken):
        clients = [
            EndpointClient(part, EndpointSettings(url=service.url))
            for part, service in (("asr", heard), ("llm", answered), ("tts", spoken))
        ]
        partner = SpokenPartner(
            EndpointRecogniser(clients[0]), EndpointResponder(clients[1]), EndpointSpeaker(clients[2])
        )
        turn = Turn(item="item_1", sound=SOUND)
        words = partner.read_turn(turn)
        pieces = list(partner.answer_turn(turn, [Message(role="user", text=words)]))
        for client in clients:
            client.close()
    assert [piece.text for piece in pieces if piece.text] == ["Good morning to you.", "Sit down."]
    assert all("authorization" not in headers for _, headers, _ in heard.asked)

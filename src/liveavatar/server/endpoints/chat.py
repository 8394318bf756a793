"""A language model by POST /chat/completions, streamed as server-sent events."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain

from liveavatar.conversation.history import Message
from liveavatar.server.endpoints.endpoint_client import EndpointClient

MAX_LINE_BYTES = 65_536
MAX_ANSWER_CHARACTERS = 4_000
"""Of an answer: four minutes of speech. The rest is left out."""
MAX_ANSWER_TOKENS = 1_000

SPOKEN_PROMPT = (
    "You are talking with somebody by voice. Answer in one to three short sentences of plain text, in their language, "
    "without lists, markup or emoji."
)
"""What the model is told first, unless the operator sets a prompt."""


class EndpointResponder:
    """Asks a language model."""

    def __init__(self, client: EndpointClient) -> None:
        self._client = client

    def stream_answer(self, messages: Sequence[Message]) -> Iterator[str]:
        """The answer as it is written.

        Raises:
            EndpointError: the endpoint does not answer as it should.
        """
        settings, count = self._client.settings, 0
        told = [{"role": "system", "content": settings.prompt or SPOKEN_PROMPT}]
        told += [{"role": message.role, "content": message.text} for message in messages]
        body = {"model": settings.model, "messages": told, "stream": True, "max_tokens": MAX_ANSWER_TOKENS}
        with self._client.stream_request("chat/completions", json=body) as pieces:
            for data in read_event_data(pieces, self._client):
                text = self._read_delta(data)
                yield text[: MAX_ANSWER_CHARACTERS - count]
                count += len(text)
                if count >= MAX_ANSWER_CHARACTERS:
                    return

    def _read_delta(self, data: bytes) -> str:
        try:
            choices = json.loads(data)["choices"]
            text = choices[0]["delta"].get("content") if choices else ""
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise self._client.report_problem("sends something else than an answer") from error
        return text if isinstance(text, str) else ""


def read_event_data(pieces: Iterator[bytes], client: EndpointClient) -> Iterator[bytes]:
    """The data of server-sent events until [DONE] or the end; any pieces of the same bytes give the same data.

    Raises:
        EndpointError: a line is longer than `MAX_LINE_BYTES`.
    """
    pending = b""
    for piece in chain(pieces, (b"\n",)):
        pending += piece
        *lines, pending = pending.split(b"\n")
        if len(pending) > MAX_LINE_BYTES:
            raise client.report_problem("sends more than fits")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if not line.startswith(b"data:") or not data:
                continue
            if data == b"[DONE]":
                return
            yield data

"""Text to speech by POST /audio/speech, streamed as 16-bit samples at 24 kHz."""

from collections.abc import Iterator

import numpy as np

from liveavatar.conversation.partner import SpeechPiece
from liveavatar.server.endpoints.endpoint_client import EndpointClient

PCM_RATE = 24_000
"""Hz, mono, of the response format "pcm"."""
MAX_CLAUSE_SECONDS = 60
"""More sound for one clause is no speech."""


class EndpointSpeaker:
    """Speaks by an endpoint, whose first sound is heard before its last is made."""

    def __init__(self, client: EndpointClient) -> None:
        self._client = client

    def speak_clause(self, text: str) -> Iterator[SpeechPiece]:
        """The sound of a clause, as it comes.

        Raises:
            EndpointError: the endpoint does not answer as it should.
        """
        settings = self._client.settings
        body = {"model": settings.model, "voice": settings.voice, "input": text, "response_format": "pcm"}
        rest, count = b"", 0
        with self._client.stream_request("audio/speech", json=body) as pieces:
            for piece in pieces:
                rest += piece
                whole, rest = rest[: len(rest) // 2 * 2], rest[len(rest) // 2 * 2 :]
                samples = np.asarray(np.frombuffer(whole, "<i2") / 32768, np.float32)
                count += len(samples)
                if count > MAX_CLAUSE_SECONDS * PCM_RATE:
                    raise self._client.report_problem("sends more than fits")
                if len(samples):
                    yield SpeechPiece(samples=samples, rate=PCM_RATE)
        if not count:
            raise self._client.report_problem("sends no sound")

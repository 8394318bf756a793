"""Speech to text by POST /audio/transcriptions."""

import io
import json
import wave

import numpy as np

from liveavatar.frames import Samples
from liveavatar.server.endpoints.endpoint_client import EndpointClient
from liveavatar.timeline import SAMPLE_RATE

MAX_ANSWER_BYTES = 65_536
"""A turn has a minute at most."""


class EndpointRecogniser:
    """Sends turns as WAV files."""

    def __init__(self, client: EndpointClient) -> None:
        self._client = client

    def recognise_speech(self, sound: Samples) -> str:
        """The words in float32 mono at 16 kHz.

        Raises:
            EndpointError: the endpoint does not answer as it should.
        """
        files = {"file": ("turn.wav", pack_wav(sound), "audio/wav")}
        data = {"model": self._client.settings.model, "response_format": "json"}
        with self._client.stream_request("audio/transcriptions", data=data, files=files) as pieces:
            body = self._client.read_limited(pieces, MAX_ANSWER_BYTES)
        try:
            text = json.loads(body)["text"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._client.report_problem("sends no text") from error
        if not isinstance(text, str):
            raise self._client.report_problem("sends no text")
        return text.strip()


def pack_wav(sound: Samples) -> bytes:
    """Float32 mono at 16 kHz as a WAV file of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        written.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()

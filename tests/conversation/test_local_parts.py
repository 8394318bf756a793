"""The parts without a network, with a voice and a recogniser of ours in place of the models."""

from collections.abc import Iterator

import numpy as np
import pytest

from liveavatar.conversation import local_parts
from liveavatar.conversation.local_parts import VoiceSpeaker, WhisperRecogniser
from liveavatar.ears.recogniser import Segment
from liveavatar.frames import Samples
from liveavatar.voices.voice import SpokenClause

RATE = 24_000


class FlatVoice:
    """A second of sound and a third of a second of silence."""

    def speak(self, text: str) -> Iterator[SpokenClause]:
        samples = np.concatenate([np.ones(RATE, np.float32), np.zeros(RATE // 3, np.float32)])
        yield SpokenClause(text=text, samples=samples, rate=RATE, start=0, voiced_count=RATE)


@pytest.mark.parametrize(
    ("text", "voice", "pause"),
    [
        ("Hello there.", "hibari", RATE // 3),
        ("If you come,", "hibari", round(0.05 * RATE)),
        ("你好，", "zf_xiaobei", round(0.05 * RATE)),
    ],
)
def test_a_clause_is_spoken_in_its_language_and_followed_by_its_pause(
    monkeypatch: pytest.MonkeyPatch, text: str, voice: str, pause: int
) -> None:
    opened: list[str] = []

    def open_flat_voice(name: str) -> FlatVoice:
        opened.append(name)
        return FlatVoice()

    monkeypatch.setattr(local_parts, "open_voice", open_flat_voice)
    speech, silence = VoiceSpeaker().speak_clause(text)
    assert opened == [voice]
    assert (len(speech.samples), speech.is_pause) == (RATE, False)
    assert (len(silence.samples), silence.is_pause) == (pause, True)


def test_sentences_that_were_recognised_are_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_sentences(sound: Samples) -> list[Segment]:
        texts = ("Well.", "I see.") if len(sound) > 1 else ()
        return [Segment(text=text, start_seconds=0, end_seconds=1) for text in texts]

    monkeypatch.setattr(local_parts, "transcribe", read_sentences)
    assert WhisperRecogniser().recognise_speech(np.zeros(2, np.float32)) == "Well. I see."
    assert WhisperRecogniser().recognise_speech(np.zeros(1, np.float32)) == ""

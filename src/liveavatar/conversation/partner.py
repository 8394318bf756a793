"""Who answers: protocols of the parts, and the two partners that are made of them.

A partner reads a turn and answers it piece by piece. Its methods may block; they run in a thread of their own.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from liveavatar.conversation.clause_stream import stream_clauses
from liveavatar.conversation.history import Message
from liveavatar.errors import OptionError
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What somebody said: `sound`, float32 mono at 16 kHz, or what they typed."""

    item: str
    sound: Samples | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechPiece:
    """Sound of an answer, float32 mono [n] at `rate` Hz. `text`, if any, begins with it; a pause speaks nothing."""

    samples: Samples
    rate: int
    text: str = ""
    is_pause: bool = False


class Recogniser(Protocol):
    """Speech to text."""

    def recognise_speech(self, sound: Samples) -> str:
        """The words in float32 mono at 16 kHz, empty if there are none."""
        ...


class Responder(Protocol):
    """A language model."""

    def stream_answer(self, messages: Sequence[Message]) -> Iterator[str]:
        """The answer to the last message, in pieces of any length."""
        ...


class TextSpeaker(Protocol):
    """Text to speech."""

    def speak_clause(self, text: str) -> Iterator[SpeechPiece]:
        """The sound of a clause and the pause after it, in pieces. Their `text` is empty."""
        ...


class Partner(Protocol):
    """Reads turns and answers them."""

    needs_words: bool
    """Whether turns without words get no answer."""

    def read_turn(self, turn: Turn) -> str:
        """What was said."""
        ...

    def answer_turn(self, turn: Turn, messages: Sequence[Message]) -> Iterator[SpeechPiece]:
        """The answer to a turn, the last of `messages`."""
        ...


class EchoPartner:
    """Repeats the sound that it heard, without knowing what it means."""

    needs_words = False

    def read_turn(self, turn: Turn) -> str:
        """Nothing is read.

        Raises:
            OptionError: the turn was typed.
        """
        if turn.sound is None:
            raise OptionError("an echo repeats sound, not text", "speak, or start it with --converse auto")
        return ""

    def answer_turn(self, turn: Turn, _messages: Sequence[Message]) -> Iterator[SpeechPiece]:
        """The sound of the turn, a second at a time."""
        sound = np.empty(0, np.float32) if turn.sound is None else turn.sound
        for start in range(0, len(sound), SAMPLE_RATE):
            yield SpeechPiece(samples=sound[start : start + SAMPLE_RATE], rate=SAMPLE_RATE)


class SpokenPartner:
    """Recognises words, lets a language model answer, and speaks the answer clause by clause."""

    needs_words = True

    def __init__(self, recogniser: Recogniser, responder: Responder, speaker: TextSpeaker) -> None:
        self._recogniser, self._responder, self._speaker = recogniser, responder, speaker

    def read_turn(self, turn: Turn) -> str:
        """The words of the turn."""
        return turn.text if turn.sound is None else self._recogniser.recognise_speech(turn.sound)

    def answer_turn(self, _turn: Turn, messages: Sequence[Message]) -> Iterator[SpeechPiece]:
        """The answer; its first clause is spoken while the model writes the next one."""
        for clause in stream_clauses(self._responder.stream_answer(messages)):
            yield from begin_with_text(clause, self._speaker.speak_clause(clause))


def begin_with_text(text: str, pieces: Iterable[SpeechPiece]) -> Iterator[SpeechPiece]:
    """The pieces, the first of which begins `text`."""
    for piece in pieces:
        yield SpeechPiece(samples=piece.samples, rate=piece.rate, text=text, is_pause=piece.is_pause)
        text = ""

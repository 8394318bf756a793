"""A conversation on a simulated clock: parts that answer at once, and what is told."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from live.fakes import Stage
from liveavatar.conversation.conversation import Conversation
from liveavatar.conversation.events import AnswerFinished, ConversationEvent
from liveavatar.conversation.history import Message
from liveavatar.conversation.partner import EchoPartner, Partner, SpeechPiece, SpokenPartner
from liveavatar.ears.turns import TurnDetector
from liveavatar.errors import EngineError
from liveavatar.frames import Samples

RATE = 48_000
WORD_SECONDS = 0.1


class CountingRecogniser:
    """Numbers the turns that it hears."""

    def __init__(self) -> None:
        self.heard: list[Samples] = []

    def recognise_speech(self, sound: Samples) -> str:
        self.heard.append(sound)
        return f"turn {len(self.heard)}"


class PlainResponder:
    """Gives the same answer in pieces of some letters. It keeps what it was shown."""

    def __init__(self, answer: str, piece: int = 3) -> None:
        self.answer, self.piece = answer, piece
        self.shown: list[Sequence[Message]] = []

    def stream_answer(self, messages: Sequence[Message]) -> Iterator[str]:
        self.shown.append(messages)
        for start in range(0, len(self.answer), self.piece):
            yield self.answer[start : start + self.piece]


class FailingResponder:
    def stream_answer(self, _messages: Sequence[Message]) -> Iterator[str]:
        yield "One moment, please. And "
        raise EngineError("the model fell silent", "wake it")


class ToneSpeaker:
    """Each word sounds for a tenth of a second."""

    def speak_clause(self, text: str) -> Iterator[SpeechPiece]:
        for _ in text.split():
            yield SpeechPiece(samples=np.full(round(WORD_SECONDS * RATE), 0.1, np.float32), rate=RATE)


def build_partner(answer: str) -> SpokenPartner:
    return SpokenPartner(CountingRecogniser(), PlainResponder(answer), ToneSpeaker())


@dataclass(slots=True)
class Talk:
    """A conversation whose time a test advances."""

    partner: Partner = field(default_factory=EchoPartner)
    predict_end: Callable[[Samples], float] = field(default=lambda _: 0.9)
    stage: Stage = field(default_factory=Stage)
    events: list[ConversationEvent] = field(default_factory=list)
    talk: Conversation = field(init=False)

    def __post_init__(self) -> None:
        detector = TurnDetector(self.predict_end)
        self.talk = Conversation(self.stage.session, detector, self.partner, self.events.append)

    def answer_for(self, seconds: float) -> None:
        """Let time pass, 40 ms at a time, while turns are answered."""
        for _ in range(round(seconds / 0.04)):
            while self.talk.advance():
                pass
            self.stage.run_for(0.04)

    def finished(self) -> list[AnswerFinished]:
        return [event for event in self.events if isinstance(event, AnswerFinished)]

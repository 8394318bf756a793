"""What a conversation tells, beside what the live session tells its viewers."""

from dataclasses import dataclass
from enum import Enum


class AnswerStatus(Enum):
    """How an answer ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningStarted:
    """Somebody began to speak, `seconds` after the microphone began."""

    item: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningStopped:
    """The turn `item` is over; its last sound was heard at `seconds`."""

    item: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsRecognised:
    """The turn `item` was read. A text without words gets no answer."""

    item: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStarted:
    """The turn `item` is being answered, by the segment of that number."""

    item: str
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerText:
    """`text` is spoken from `start_seconds` of the answer's sound on."""

    segment: int
    text: str
    start_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFinished:
    """The last event of an answer, once it was heard or cancelled: `text` was heard, in `heard_seconds`."""

    segment: int
    status: AnswerStatus
    text: str
    heard_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFailed:
    """A turn or an answer failed; the conversation goes on."""

    problem: str


ConversationEvent = (
    ListeningStarted
    | ListeningStopped
    | WordsRecognised
    | AnswerStarted
    | AnswerText
    | AnswerFinished
    | PartFailed
)

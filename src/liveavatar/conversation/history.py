"""What was said by both, as a language model is told: what was not heard is not in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from liveavatar.voices.text import detect_languages

MAX_MESSAGES = 40
"""Of the history that a responder gets; older ones are forgotten."""

Speaker = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one of the two said."""

    role: Speaker
    text: str


class History:
    """Messages in order, roles alternating. It belongs to one thread."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    def add_message(self, role: Speaker, text: str) -> None:
        """Add what was said; a second message of the same role continues the first. Empty texts are left out."""
        if not text.strip():
            return
        if self._messages and self._messages[-1].role == role:
            text = f"{self._messages.pop().text} {text.strip()}"
        self._messages.append(Message(role=role, text=text.strip()))
        if len(self._messages) > MAX_MESSAGES:
            del self._messages[:2]

    def list_messages(self) -> Sequence[Message]:
        """All messages, oldest first."""
        return tuple(self._messages)


@dataclass(slots=True)
class SpokenText:
    """Text and the seconds of an answer's sound in which it is spoken."""

    text: str
    start: float
    end: float


class AnswerScript:
    """Which text stands where in the sound of one answer."""

    def __init__(self) -> None:
        self._texts: list[SpokenText] = []
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Sound so far."""
        return self._seconds

    def add_text(self, text: str) -> None:
        """The sound that follows speaks `text`."""
        self._texts.append(SpokenText(text, self._seconds, self._seconds))

    def add_sound(self, seconds: float, is_pause: bool) -> None:
        """Sound follows; a pause belongs to no text."""
        self._seconds += seconds
        if self._texts and not is_pause:
            self._texts[-1].end = self._seconds

    def find_heard_text(self, seconds: float) -> str:
        """The words that were heard whole in the first `seconds`, taking words of one text to be equally fast."""
        heard = [
            cut_text(spoken.text, (seconds - spoken.start) / max(spoken.end - spoken.start, 1e-9))
            for spoken in self._texts
            if spoken.start < seconds
        ]
        return join_clauses(heard)


def cut_text(text: str, share: float) -> str:
    """The words within the first `share` of a text's letters; Chinese characters count as words."""
    length = int(share * len(text) + 1e-6)
    if length >= len(text):
        return text
    cut = max(0, length)
    while cut and not (text[cut].isspace() or "zh" in detect_languages(text[cut])):
        cut -= 1
    return text[:cut].rstrip()


def join_clauses(clauses: Sequence[str]) -> str:
    """One text, with spaces between clauses but before Chinese characters."""
    joined = ""
    for clause in filter(None, clauses):
        joined += clause if not joined or "zh" in detect_languages(clause[0]) else f" {clause}"
    return joined

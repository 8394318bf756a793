"""Cuts timed text into captions of two lines that are shown while it is heard."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

LINE_WIDTH = 42
"""Letters in a line, as broadcasters allow; a Chinese character counts as two."""

LINES = 2
_LINGER_SECONDS = 0.3
"""How long a caption stays after its last sound, where no other one follows."""

_WORDS = re.compile(
    r"[\u2e80-\uffef\U00020000-\U0003ffff][，。！？；：、）》”’…]*|[^\s\u2e80-\uffef\U00020000-\U0003ffff]+|\s+"
)


class TimedText(Protocol):
    """A text with the seconds in which it is heard, such as a clause of a voice or what a recogniser heard."""

    @property
    def text(self) -> str:
        """What is said."""
        ...

    @property
    def start_seconds(self) -> float:
        """When it begins."""
        ...

    @property
    def end_seconds(self) -> float:
        """When it ends."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One caption: up to two lines, shown from `start` until before `end`, in seconds."""

    lines: tuple[str, ...]
    start: float
    end: float


def make_cues(spoken: Iterable[TimedText]) -> list[Cue]:
    """Captions in order, never two at a time. Inside a text, time is shared out by the width of the letters."""
    cues = [cue for text in spoken for cue in _cut_text(text)]
    following = [*(cue.start for cue in cues[1:]), float("inf")]
    return [
        Cue(lines=cue.lines, start=cue.start, end=max(cue.start, min(cue.end + _LINGER_SECONDS, limit)))
        for cue, limit in zip(cues, following, strict=False)
    ]


def measure_width(text: str) -> int:
    """The width of a line in letters."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def wrap_text(text: str, width: int = LINE_WIDTH) -> list[str]:
    """Lines of at most `width`, broken between words or Chinese characters; a longer word is cut."""
    lines = [""]
    for word in _WORDS.findall(text):
        if word.isspace():
            lines[-1] += " " if lines[-1] else ""
        elif measure_width(lines[-1] + word) <= width:
            lines[-1] += word
        else:
            lines += _cut_word(word, width)
    return [line.strip() for line in lines if line.strip()]


def _balance_lines(text: str) -> list[str]:
    """As few lines as possible, of about the same width."""
    lines = wrap_text(text)
    widths = range(measure_width(text) // max(1, len(lines)), LINE_WIDTH)
    balanced = (wrap_text(text, width) for width in widths if width > 1)
    return next((other for other in balanced if len(other) == len(lines)), lines)


def _cut_word(word: str, width: int) -> list[str]:
    pieces = [""]
    for letter in word:
        if measure_width(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _cut_text(spoken: TimedText) -> list[Cue]:
    """The cues of one text."""
    lines = _balance_lines(spoken.text)
    groups = [tuple(lines[start : start + LINES]) for start in range(0, len(lines), LINES)]
    widths = [sum(map(measure_width, group)) for group in groups]
    rate = (spoken.end_seconds - spoken.start_seconds) / max(1, sum(widths))
    edges = [spoken.start_seconds + rate * sum(widths[:count]) for count in range(len(groups) + 1)]
    return [
        Cue(lines=group, start=start, end=end)
        for group, start, end in zip(groups, edges[:-1], edges[1:], strict=True)
    ]

"""Splits a text where a speaker breathes, so that the first sound comes early and long texts stay a stream."""

import re
from dataclasses import dataclass

from liveavatar.voices.text import HAN

FIRST_WEIGHT = 24
"""Letters after which the first clause ends at its next comma: about two seconds of speech."""

CLAUSE_WEIGHT = 70
"""The same for later clauses."""

MAX_WEIGHT = 160
"""Letters beyond which a clause without any comma is split between words."""

HAN_WEIGHT = 4
"""Letters that take as long to say as one Chinese character."""

_PAUSE_SECONDS = {"paragraph": 0.6, "sentence": 0.35, "clause": 0.15, "word": 0.0}
_CLOSING = "\"'”’)\\]）」』》"
_BREAKS = re.compile(
    rf"(?P<paragraph>\s*\n\s*)"
    rf"|(?P<sentence>[。！？]+[{_CLOSING}]*\s*|[.!?…]+[{_CLOSING}]*\s+)"
    rf"|(?P<clause>[，；：、]+[{_CLOSING}]*\s*|[,;:]+[{_CLOSING}]*\s+|\s*[—–]+\s+|——+)"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Gen|Col|Capt|No|Nos|vs|approx|e\.g|i\.e|etc)\.$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """What is said in one breath, and the silence after it."""

    text: str
    pause_seconds: float


def split_into_clauses(text: str, first_weight: int = FIRST_WEIGHT) -> list[Clause]:
    """The clauses of a prepared text, in order. Their texts, joined, are the whole text but for white space.

    The first one ends at a comma after `first_weight` letters.
    """
    clauses: list[Clause] = []
    pending = ""
    for piece, ending in _split_at_breaks(text):
        pending += piece
        wanted = CLAUSE_WEIGHT if clauses else first_weight
        if ending in {"clause", "word"} and _weigh_text(pending) < wanted:
            continue
        if any(character.isalnum() for character in pending):
            clauses += _split_long_clause(pending.strip(), _PAUSE_SECONDS[ending])
            pending = ""
    if pending.strip() and clauses:  # closing signs without a word
        last = clauses.pop()
        clauses.append(Clause(text=f"{last.text} {pending.strip()}", pause_seconds=last.pause_seconds))
    return clauses


def split_phonemes(phonemes: str, limit: int) -> list[str]:
    """Pieces of at most `limit` phonemes, cut at spaces where there are any: numbers are long when spoken."""
    pieces = []
    while len(phonemes) > limit:
        cut = phonemes.rfind(" ", 1, limit) + 1 or limit
        pieces.append(phonemes[:cut])
        phonemes = phonemes[cut:]
    return [*pieces, phonemes]


def _split_at_breaks(text: str) -> list[tuple[str, str]]:
    """Pieces that end with their punctuation, each with the name of its break."""
    pieces, start = [], 0
    for found in _BREAKS.finditer(text):
        ending = str(found.lastgroup)
        if ending == "sentence" and found.end() < len(text) and _is_abbreviation(text, found):
            continue
        pieces.append((text[start : found.end()], ending))
        start = found.end()
    return [*pieces, (text[start:], "sentence")]


def _is_abbreviation(text: str, found: re.Match[str]) -> bool:
    """Whether the full stop belongs to a word, as in "Dr. Smith", or a sentence goes on in small letters."""
    if not set(found[0].strip()) <= set(".…"):
        return False
    return text[found.end()].islower() or _ABBREVIATION.search(text[: found.start() + 1]) is not None


def _weigh_text(text: str) -> int:
    return len(text) + (HAN_WEIGHT - 1) * len(re.findall(f"[{HAN}]", text))


def _split_long_clause(text: str, pause_seconds: float) -> list[Clause]:
    """One clause, or several of at most MAX_WEIGHT."""
    clauses = []
    while _weigh_text(text) > MAX_WEIGHT:
        cut = _find_cut(text)
        clauses.append(Clause(text=text[:cut].strip(), pause_seconds=_PAUSE_SECONDS["word"]))
        text = text[cut:].strip()
    return [*clauses, Clause(text=text, pause_seconds=pause_seconds)]


def _find_cut(text: str) -> int:
    """Where to cut: after as much as fits, at a space or between Chinese characters if there is one."""
    weight, cut, position = 0, 0, 0
    for position, character in enumerate(text):
        weight += HAN_WEIGHT if re.match(f"[{HAN}]", character) else 1
        if weight > MAX_WEIGHT:
            break
        if character == " " or re.match(f"[{HAN}]", character):
            cut = position + 1
    return cut or position

"""Clauses of a text that is still being written."""

from collections.abc import Iterable, Iterator

from liveavatar.voices.clauses import CLAUSE_WEIGHT, FIRST_WEIGHT, split_into_clauses


def stream_clauses(deltas: Iterable[str]) -> Iterator[str]:
    """Each clause as soon as the first word after it begins. Any pieces of the same text give the same clauses."""
    pending, comma_weight = "", FIRST_WEIGHT
    for character in (character for delta in deltas for character in delta):
        pending += character
        if not character.isalnum():  # a clause is known to be over when a word begins
            continue
        clauses = split_into_clauses(pending, comma_weight)
        if len(clauses) > 1:
            yield clauses[0].text
            pending, comma_weight = pending.split(clauses[0].text, 1)[1], CLAUSE_WEIGHT
    yield from (clause.text for clause in split_into_clauses(pending, comma_weight))

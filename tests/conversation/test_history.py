"""Clauses of streamed text, and what of an answer was heard."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.conversation.clause_stream import stream_clauses
from liveavatar.conversation.history import MAX_MESSAGES, AnswerScript, History, cut_text, join_clauses
from liveavatar.voices.clauses import MAX_WEIGHT

TEXTS = st.text("ab, .!?\n\"'好。，1D", max_size=120)


@given(text=TEXTS, cuts=st.lists(st.integers(0, 120), max_size=8))
def test_clauses_do_not_depend_on_how_the_text_is_cut(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), 120]
    pieces = [text[start:end] for start, end in pairwise(places)]
    clauses = list(stream_clauses(pieces))
    assert clauses == list(stream_clauses([text]))
    spoken = "".join("".join(clauses).split())
    if any(character.isalnum() for character in text):
        assert [c for c in spoken if c.isalnum()] == [c for c in text if c.isalnum()]


def test_a_clause_comes_before_the_next_one_is_written() -> None:
    written: list[str] = []

    def write_answer() -> Iterator[str]:
        for word in ("Hello there. ", "How ", "are ", "you?"):
            written.append(word)
            yield word

    assert next(stream_clauses(write_answer())) == "Hello there."
    assert written == ["Hello there. ", "How "]


def test_titles_end_no_clause_and_endless_text_is_cut() -> None:
    assert list(stream_clauses("Dr. Smith is here. Good.")) == ["Dr. Smith is here.", "Good."]
    assert all(len(clause) <= MAX_WEIGHT for clause in stream_clauses("word " * 100))


@given(text=st.text("ab 好", min_size=1, max_size=30), share=st.floats(0, 1))
def test_a_cut_text_is_a_beginning_with_whole_words(text: str, share: float) -> None:
    cut = cut_text(text, share)
    assert text.startswith(cut)
    assert len(cut) <= share * len(text) + 1e-3
    rest = text[len(cut) :]
    assert not cut or not rest or rest[0].isspace() or "好" in (cut[-1], rest[0])


def test_text_is_found_by_the_seconds_in_which_it_is_spoken() -> None:
    script = AnswerScript()
    script.add_text("one two")
    script.add_sound(1.0, is_pause=False)
    script.add_sound(1.0, is_pause=True)
    script.add_text("你好")
    script.add_sound(1.0, is_pause=False)
    assert [script.find_heard_text(seconds) for seconds in (0.0, 0.2, 0.6, 1.0, 2.0, 2.6, 3.0)] == [
        "", "", "one", "one two", "one two", "one two你", "one two你好",
    ]  # fmt: skip


def test_roles_alternate_and_old_messages_are_forgotten() -> None:
    history = History()
    history.add_message("user", "well")
    history.add_message("user", " yes ")
    history.add_message("assistant", "  ")
    assert [message.text for message in history.list_messages()] == ["well yes"]
    for _ in range(MAX_MESSAGES):
        history.add_message("assistant", "a")
        history.add_message("user", "u")
    assert MAX_MESSAGES - 2 < len(history.list_messages()) <= MAX_MESSAGES
    assert history.list_messages()[0].role == "user"


@pytest.mark.parametrize(
    ("clauses", "text"), [(["a", "", "b"], "a b"), (["你好。", "很好。"], "你好。很好。")]
)
def test_clauses_are_joined_as_they_are_written(clauses: list[str], text: str) -> None:
    assert join_clauses(clauses) == text

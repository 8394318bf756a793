import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.voices.clauses import HAN_WEIGHT, MAX_WEIGHT, split_into_clauses, split_phonemes

WRITING = st.text("abcXYZ 你好吗0123,.;:!?，。！？、—…\"'()（）\n", max_size=300)


def find_texts(text: str) -> list[str]:
    return [clause.text for clause in split_into_clauses(text)]


def remove_spaces(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hi.", ["Hi."]),
        ("Dr. J. Smith paid 3.5 dollars. He left.", ["Dr. J. Smith paid 3.5 dollars.", "He left."]),
        ("We met at 5 p.m. and left. Why?", ["We met at 5 p.m. and left.", "Why?"]),
        ('He said "Stop!" Then he ran.', ['He said "Stop!"', "Then he ran."]),
        ("One, two, three, four, five, six, seven.", ["One, two, three, four, five,", "six, seven."]),
        ("你好。我是小明！好吗？", ["你好。", "我是小明！", "好吗？"]),
        ("今天天气很好，我们去公园。", ["今天天气很好，", "我们去公园。"]),
        ("one\n\ntwo", ["one", "two"]),
    ],
)
def test_clauses_end_where_a_speaker_breathes(text: str, clauses: list[str]) -> None:
    assert find_texts(text) == clauses


def test_pauses_are_longer_after_sentences_than_after_commas() -> None:
    comma, sentence, paragraph, last = split_into_clauses(
        "A rather long beginning, and the end. Then\n\nlast."
    )
    assert 0 < comma.pause_seconds < sentence.pause_seconds < paragraph.pause_seconds
    assert last.pause_seconds == sentence.pause_seconds


@given(WRITING)
def test_nothing_that_is_written_gets_lost(text: str) -> None:
    joined = "".join(find_texts(text))
    if any(character.isalnum() for character in text):
        assert remove_spaces(joined) == remove_spaces(text)
    else:
        assert joined == ""


@given(WRITING)
def test_every_clause_has_a_word_and_is_short_enough(text: str) -> None:
    for clause in find_texts(text):
        assert any(character.isalnum() for character in clause)
    long = find_texts("word " * 200 + "长" * 200)
    assert all(len(text) + (HAN_WEIGHT - 1) * text.count("长") <= MAX_WEIGHT for text in long)


@given(st.text("ab ", max_size=200), st.integers(2, 30))
def test_phonemes_are_cut_into_pieces_that_fit(phonemes: str, limit: int) -> None:
    pieces = split_phonemes(phonemes, limit)
    assert "".join(pieces) == phonemes
    assert all(len(piece) <= limit for piece in pieces)

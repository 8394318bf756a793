import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.captions.cues import LINE_WIDTH, LINES, make_cues, measure_width, wrap_text


@dataclass(frozen=True)
class Said:
    text: str
    start_seconds: float
    end_seconds: float


@st.composite
def speeches(draw: st.DrawFn) -> list[Said]:
    """Texts one after the other, with pauses of any length."""
    said, time = [], 0.0
    for text in draw(st.lists(st.text("ab cde 你好，。,.", min_size=1, max_size=200), max_size=6)):
        start = time + draw(st.floats(0, 3))
        time = start + draw(st.floats(0.05, 20))
        said.append(Said(text, start, time))
    return said


def remove_spaces(text: str) -> str:
    return "".join(text.split())


@given(speeches())
def test_captions_hold_every_word_in_time_and_never_two_at_once(said: list[Said]) -> None:
    cues = make_cues(said)
    shown = "".join(line for cue in cues for line in cue.lines)
    assert remove_spaces(shown) == remove_spaces("".join(text.text for text in said))
    for cue in cues:
        assert 1 <= len(cue.lines) <= LINES
        assert all(0 < measure_width(line) <= LINE_WIDTH for line in cue.lines)
        assert cue.start <= cue.end
    for cue, later in itertools.pairwise(cues):
        assert cue.end <= later.start


@given(speeches())
def test_a_caption_is_shown_while_its_text_is_heard(said: list[Said]) -> None:
    for text in said:
        for cue in make_cues([text]):
            assert text.start_seconds - 1e-6 <= cue.start
            assert cue.end <= text.end_seconds + 0.31


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("你好吗，朋友", ["你好吗，朋", "友"]),
        ("extraordinarily", ["extraordin", "arily"]),
        ("用AI技术说话", ["用AI技术说", "话"]),
        ("", []),
    ],
)
def test_lines_are_broken_between_words_or_signs(text: str, lines: list[str]) -> None:
    assert wrap_text(text, 10) == lines


def test_the_lines_of_a_caption_are_about_equally_wide() -> None:
    (cue,) = make_cues([Said("Give me a voice and I will speak with you every day.", 0, 3)])
    first, second = map(measure_width, cue.lines)
    assert abs(first - second) < 10

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.errors import VoiceError
from liveavatar.voices.text import MAX_CHARACTERS, detect_languages, prepare_text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no words"),
        (" \n ", "no words"),
        ("… — !", "no words"),
        ("a" * (MAX_CHARACTERS + 1), "10,001 characters"),
        ("bell\a", r"control character \\x07"),
        ("null\0", r"control character \\x00"),
        ("\ud800", r"control character \\ud800"),
        ("Привет", "cyrillic capital letter pe"),
        ("こんにちは", "hiragana letter ko"),
        (7, "type int"),
    ],
)
def test_what_no_voice_can_speak_is_one_line(text: object, problem: str) -> None:
    with pytest.raises(VoiceError, match=problem) as caught:
        prepare_text(text)
    assert "\n" not in str(caught.value)


def test_what_is_not_heard_is_left_out() -> None:
    assert prepare_text("  Hi 😀 there\u200b,\tyou!  ") == "Hi   there, you!"
    assert prepare_text("ＡＢ１２，好") == "AB12，好"
    assert prepare_text("cafe\u0301") == "café"


@pytest.mark.parametrize(
    ("text", "languages"),
    [("Hello", {"en"}), ("你好", {"zh"}), ("用AI", {"zh", "en"}), ("2024", {"en"}), ("2024年", {"zh"})],
)
def test_the_languages_of_a_text(text: str, languages: set[str]) -> None:
    assert detect_languages(text) == languages


@given(st.text(max_size=40))
def test_any_text_is_prepared_or_refused(text: str) -> None:
    try:
        prepared = prepare_text(text)
    except VoiceError:
        return
    assert prepared == prepared.strip()
    assert any(character.isalnum() for character in prepared)
    assert prepare_text(prepared) == prepared

"""What can be spoken: checks a text, and says which languages it is in."""

import re
import unicodedata

from liveavatar.errors import VoiceError
from liveavatar.files import describe_path

MAX_CHARACTERS = 10_000
"""Of a text: about ten minutes of English, forty of Mandarin."""

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""The Chinese characters, for use inside brackets of a regular expression."""

_HAN_CHARACTER = re.compile(f"[{HAN}]")
_WIDE_TO_PLAIN = {ord("０") + i: ord("0") + i for i in range(ord("z") - ord("0") + 1)}
"""Full-width letters and digits, and the signs between them, to their usual form; below, only alphanumeric ones."""


def prepare_text(text: object) -> str:
    """The text without what is not heard: emoji, invisible marks, spaces at the ends.

    Raises:
        VoiceError: it is no text, empty, too long, or has control characters or letters that no voice reads.
    """
    if not isinstance(text, str):
        raise VoiceError(f"an object of type {type(text).__name__} cannot be spoken", "give a string")
    if len(text) > MAX_CHARACTERS:
        raise VoiceError(
            f"the text has {len(text):,} characters, more than {MAX_CHARACTERS:,}", "speak it in parts"
        )
    prepared = "".join(map(_prepare_character, unicodedata.normalize("NFC", text))).strip()
    if not any(character.isalnum() for character in prepared):
        raise VoiceError("the text has no words", "write what is to be spoken")
    return prepared


def detect_languages(text: str) -> set[str]:
    """The languages of a prepared text: "zh" if it has Chinese characters, "en" if it has Latin letters or neither."""
    languages = {"zh"} if _HAN_CHARACTER.search(text) else set[str]()
    if not languages or re.search("[A-Za-z]", text):
        languages.add("en")
    return languages


def _prepare_character(character: str) -> str:
    """The character as it is spoken, or a space.

    Raises:
        VoiceError: no voice reads it.
    """
    category = unicodedata.category(character)
    if character in "\n\t\r" or category.startswith("Z"):
        return "\n" if character == "\n" else " "
    if category in {"Cc", "Cs", "Co", "Cn"}:
        raise VoiceError(f"the text has the control character {describe_path(character)}", "remove it")
    if category in {"Cf", "Mn", "Me"}:
        return ""
    if category == "So" and not unicodedata.name(character, "").startswith("DEGREE"):
        return " "
    if category.startswith("L"):
        return _check_letter(character)
    return chr(_WIDE_TO_PLAIN.get(ord(character), ord(character))) if category == "Nd" else character


def _check_letter(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith("FULLWIDTH LATIN"):
        return chr(_WIDE_TO_PLAIN[ord(character)])
    if name.startswith("LATIN") or _HAN_CHARACTER.match(character):
        return character
    raise VoiceError(
        f"no voice reads the letter {character} ({name.lower() or 'unnamed'})",
        "write it in Latin letters or Chinese characters",
    )

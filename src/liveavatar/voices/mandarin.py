"""Mandarin, with English words in it, to Kokoro's phonemes: numbers, words, pinyin, then sounds with tone arrows.

pypinyin (MIT) knows how words are read. The sounds are those that Kokoro was trained on: IPA without marks below
letters, the tone as an arrow after the vowel.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from liveavatar.voices.chinese_numbers import spell_numbers
from liveavatar.voices.english import import_voice_package
from liveavatar.voices.text import HAN

TONE_ARROWS: Mapping[str, str] = MappingProxyType({"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""})

INITIAL_SOUNDS: Mapping[str, str] = MappingProxyType(
    {
        "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ",
        "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ",
        "s": "s", "": "",
    }
)  # fmt: skip

FINAL_SOUNDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "a": ("a", ""), "ai": ("ai", ""), "an": ("a", "n"), "ang": ("a", "ŋ"), "ao": ("au", ""), "e": ("ɤ", ""),
        "ei": ("ei", ""), "en": ("ə", "n"), "eng": ("ə", "ŋ"), "er": ("ɚ", ""), "i": ("i", ""), "ia": ("ja", ""),
        "ian": ("jɛ", "n"), "iang": ("ja", "ŋ"), "iao": ("jau", ""), "ie": ("je", ""), "in": ("i", "n"),
        "ing": ("i", "ŋ"), "io": ("jɔ", ""), "iong": ("jʊ", "ŋ"), "iou": ("jou", ""), "o": ("wo", ""),
        "ong": ("ʊ", "ŋ"), "ou": ("ou", ""), "u": ("u", ""), "ua": ("wa", ""), "uai": ("wai", ""),
        "uan": ("wa", "n"), "uang": ("wa", "ŋ"), "uei": ("wei", ""), "uen": ("wə", "n"), "ueng": ("wə", "ŋ"),
        "uo": ("wo", ""), "v": ("y", ""), "van": ("ɥɛ", "n"), "ve": ("ɥe", ""), "vn": ("y", "n"), "ê": ("ɛ", ""),
    }
)  # fmt: skip
"""What is before the tone's arrow, and what after it."""

_BUZZED = {"zh", "ch", "sh", "r", "z", "c", "s"}
"""Initials after which "i" is no vowel of its own."""
_BUZZ = "ɨ"
_HUMS = {"n": "n", "m": "m", "ng": "ŋ", "hm": "hm", "hng": "hŋ"}
_MARKS = str.maketrans(
    {
        "，": ", ", "、": ", ", "。": ". ", "．": ". ", "！": "! ", "？": "? ", "：": ": ", "；": "; ", "（": " (",
        "）": ") ", "《": " “", "》": "” ", "「": " “", "」": "” ", "『": " “", "』": "” ", "【": " “", "】": "” ",
        "·": " ",
    }
)  # fmt: skip
_RUNS = re.compile(
    f"(?P<han>[{HAN}]+)|(?P<latin>[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f' .-]*)|(?P<mark>.)", re.DOTALL
)


def read_mandarin(text: str, read_english: Callable[[str], str]) -> str:
    """Phonemes of a prepared text; `read_english` gives those of runs of Latin letters.

    Raises:
        VoiceError: pypinyin is not installed.
    """
    spelt = spell_numbers(text).translate(_MARKS)
    pieces = []
    for found in _RUNS.finditer(spelt):
        run = found[0]
        if found.lastgroup == "latin":
            pieces.append(f" {read_english(run.strip())} ")
        else:
            pieces.append(_read_han(run) if found.lastgroup == "han" else run)
    return " ".join("".join(pieces).split())


def _read_han(run: str) -> str:
    """Words with spaces between them."""
    words = import_voice_package("pypinyin.seg.mmseg").seg.cut(run)
    return " ".join("".join(map(_join_syllable, *_read_word(word))) for word in words)


def _read_word(word: str) -> tuple[list[str], list[str]]:
    """The initials and the finals of a word's syllables; a final ends with the number of its tone."""
    pypinyin: Any = import_voice_package("pypinyin")
    style, lazy_pinyin = pypinyin.Style, pypinyin.lazy_pinyin
    syllables = lazy_pinyin(word, style=style.TONE3, neutral_tone_with_five=True)
    initials = lazy_pinyin(word, style=style.INITIALS, strict=True)
    finals = lazy_pinyin(word, style=style.FINALS_TONE3, neutral_tone_with_five=True, strict=True)
    hums = [
        syllable if syllable[:-1] in _HUMS else final
        for syllable, final in zip(syllables, finals, strict=True)
    ]
    return ["" if hum[:-1] in _HUMS else initial for hum, initial in zip(hums, initials, strict=True)], hums


def _join_syllable(initial: str, final: str) -> str:
    """The phonemes of one syllable; nothing for a character that nobody knows how to read."""
    rhyme, arrow = final[:-1], TONE_ARROWS.get(final[-1:])
    if arrow is None or initial not in INITIAL_SOUNDS:
        return ""
    if rhyme in _HUMS:
        return _HUMS[rhyme] + arrow
    if rhyme == "i" and initial in _BUZZED:
        return INITIAL_SOUNDS[initial] + _BUZZ + arrow
    if rhyme == "o" and not initial:
        return "ɔ" + arrow
    before, after = FINAL_SOUNDS.get(rhyme, ("", ""))
    return INITIAL_SOUNDS[initial] + before + arrow + after if before else ""

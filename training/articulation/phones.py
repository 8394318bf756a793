"""Gestures of the mouth for phones in IPA: viseme, targets of the controls, and their weights."""

import unicodedata
from dataclasses import dataclass, replace
from functools import cache

from liveavatar.speech.track import CONTROLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Gesture:
    """One part of a phone; a diphthong or an affricate has two."""

    viseme: str
    targets: tuple[float, ...]
    """One for each of CONTROLS. Closure is drawn apart from the others, see `targets.draw_closure`."""
    weights: tuple[float, ...]
    """One for each target; 0 leaves a control to the neighbours."""
    share: float = 1.0
    """Of the phone's duration."""
    sign: str = ""
    """The IPA sign."""


def _gesture(viseme: str, weight: float = 1.0, **targets: float) -> Gesture:
    """Controls that are not named get target 0 with a third of the weight, so that neighbours shape them."""
    values = tuple(targets.get(name, 0.0) for name in CONTROLS)
    return Gesture(
        viseme=viseme,
        targets=values,
        weights=tuple(weight if name in targets else weight / 3 for name in CONTROLS),
    )


SILENCE = Gesture(viseme="sil", targets=(0.0,) * len(CONTROLS), weights=(1.0,) * len(CONTROLS))
PASSIVE = Gesture(viseme="", targets=(0.0,) * len(CONTROLS), weights=(0.0,) * len(CONTROLS))
"""Breath and glottal stops, during which the mouth moves on to the next sound."""

_LABIAL = _gesture("PP", 2.0, jaw=0.04, closure=1.0)
_DENTILABIAL = _gesture("FF", 1.6, jaw=0.12, upper_lip=0.5, spread=0.1)
_DENTAL = _gesture("TH", 1.0, jaw=0.22, tongue=0.85, upper_lip=0.2)
_STOP = _gesture("DD", 1.0, jaw=0.2, tongue=0.8)
_BACK = _gesture("kk", 0.8, jaw=0.3)
_HUSH = _gesture("CH", 1.4, jaw=0.14, rounding=0.55, upper_lip=0.4, tongue=0.4)
_RETROFLEX = _gesture("CH", 1.3, jaw=0.15, rounding=0.35, upper_lip=0.35, tongue=0.5)
_PALATAL = _gesture("CH", 1.3, jaw=0.13, spread=0.4, upper_lip=0.3, tongue=0.5)
_HISS = _gesture("SS", 1.4, jaw=0.1, spread=0.45, upper_lip=0.3, tongue=0.5)
_NASAL = _gesture("nn", 0.9, jaw=0.24, tongue=0.85)
_RHOTIC = _gesture("RR", 1.0, jaw=0.26, rounding=0.45, tongue=0.4)
_TRILL = _gesture("RR", 1.0, jaw=0.28, tongue=0.75)
_ROUND_GLIDE = _gesture("ou", 1.4, jaw=0.16, rounding=0.95)
_FRONT_GLIDE = _gesture("ih", 1.0, jaw=0.25, spread=0.6, tongue=0.3)

CONSONANTS = {
    "pbm": _LABIAL, "ɸβ": _gesture("PP", 1.2, jaw=0.1, closure=0.35), "fvɱʋ": _DENTILABIAL, "θð": _DENTAL,
    "tdʈɖɾɽ": _STOP, "kɡgxɣχqcɟçʝħ": _BACK, "ʃʒ": _HUSH, "ʂʐ": _RETROFLEX, "ɕʑ": _PALATAL, "sz": _HISS,
    "nlɳɲʎɫɬɭŋɴ": _NASAL, "ɹɻ": _RHOTIC, "rʁʀ": _TRILL, "wʍɥ": _ROUND_GLIDE, "jɰ": _FRONT_GLIDE,
}  # fmt: skip


def _vowel(
    viseme: str, jaw: float, *, rounding: float = 0.0, spread: float = 0.0, weight: float = 1.0
) -> Gesture:
    return _gesture(viseme, weight, jaw=jaw, rounding=rounding, spread=spread)


VOWELS = {
    "ɑ": _vowel("aa", 0.95), "a": _vowel("aa", 0.95), "ɐ": _vowel("aa", 0.7), "ʌ": _vowel("aa", 0.75),
    "æ": _vowel("aa", 0.85, spread=0.3), "ɛ": _vowel("E", 0.7, spread=0.35), "e": _vowel("E", 0.58, spread=0.5),
    "ə": _vowel("E", 0.48, weight=0.7), "ɜ": _vowel("E", 0.52, rounding=0.15), "ɤ": _vowel("E", 0.52, spread=0.1),
    "ɚ": _vowel("RR", 0.45, rounding=0.35), "ɝ": _vowel("RR", 0.45, rounding=0.35), "ɘ": _vowel("E", 0.48),
    "ɪ": _vowel("ih", 0.46, spread=0.45), "i": _vowel("ih", 0.4, spread=0.85), "ɨ": _vowel("ih", 0.34, spread=0.4),
    "ɯ": _vowel("ih", 0.38, spread=0.3), "ɔ": _vowel("oh", 0.75, rounding=0.55), "ɒ": _vowel("oh", 0.8, rounding=0.4),
    "o": _vowel("oh", 0.6, rounding=0.8), "ʊ": _vowel("ou", 0.42, rounding=0.7), "u": _vowel("ou", 0.36, rounding=1.0),
    "ʉ": _vowel("ou", 0.36, rounding=0.9), "y": _vowel("ou", 0.32, rounding=0.9),
    "ø": _vowel("ou", 0.45, rounding=0.75), "œ": _vowel("oh", 0.55, rounding=0.6),
}  # fmt: skip
_BREATHS = "hɦʰʔ"
_GESTURES = {
    sign: replace(gesture, sign=sign)
    for signs, gesture in (*CONSONANTS.items(), *VOWELS.items())
    for sign in signs
}
IPA_SIGNS = ("", *_GESTURES)
"""Silence and all sounds, the classes of the network's auxiliary output."""

_FIRST_PART_SHARE = 0.6


@cache
def phone_to_gestures(phone: str) -> tuple[Gesture, ...]:
    """The gestures of a phone, in order. Stress, length and tone marks and unknown signs are ignored; "" is silence."""
    # espeak-ng writes the rhyme of Mandarin's "dong" as one phone, "onɡ"
    spelled = phone.replace("ᵻ", "ɪ").replace("ᵊ", "ə").replace("nɡ", "ŋ")
    plain = unicodedata.normalize("NFD", spelled)
    parts = [
        PASSIVE if sign in _BREATHS else _GESTURES[sign]
        for sign in plain
        if sign in _GESTURES or sign in _BREATHS
    ]
    if not phone or not parts:
        return (SILENCE,) if not phone else (PASSIVE,)
    shares = (
        [1.0]
        if len(parts) == 1
        else [_FIRST_PART_SHARE] + [(1 - _FIRST_PART_SHARE) / (len(parts) - 1)] * (len(parts) - 1)
    )
    return tuple(replace(part, share=share) for part, share in zip(parts, shares, strict=True))

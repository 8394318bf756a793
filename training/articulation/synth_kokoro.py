"""Clips spoken by Kokoro: single voices and random voices in between, in six languages."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from training.articulation.corpus import Clip, Span, clip_at_16k, save
from training.articulation.kokoro import PUNCTUATION, RATE, Kokoro, Utterance, letters
from training.articulation.texts import alone, sentences

HELD_OUT = {"af_heart": "en", "am_michael": "en", "bf_emma": "en", "zf_xiaoxiao": "zh", "zm_yunxi": "zh"}
"""Voices for testing, never heard in training, not even as part of a mixture."""

LANGUAGES = {"en": 0.45, "zh": 0.33, "es": 0.07, "fr": 0.07, "it": 0.04, "pt": 0.04}
NATIVE = {"en": "ab", "zh": "z", "es": "e", "fr": "f", "it": "i", "pt": "p"}
"""First letters of the voices of each language, of English Americans and Britons, as often."""

ALONE = 0.4
"""Share of clips that are a word or two; they are short, so it is a fifth of the time."""

SPELLINGS = {"en": "en-us", "fr": "fr-fr", "pt": "pt-br"}
LETTERS = {
    "A": "eɪ", "I": "aɪ", "W": "aʊ", "O": "oʊ", "Q": "əʊ", "Y": "ɔɪ", "T": "ɾ", "S": "s", "ᵊ": "ə", "ꭧ": "ʈʂ",
    "ʨ": "tɕ", "ʥ": "dʑ", "ʦ": "ts", "ʣ": "dz", "ʧ": "tʃ", "ʤ": "dʒ", "ᵻ": "ɪ",
}  # fmt: skip
LATE = 1200
"""Samples at 24 kHz by which the durations run late: hisses correlate best with labels 50 ms earlier, in all voices."""

BEFORE_MARKS, AFTER_MARKS = "ˈˌ", "ː→↗↓↘ʲ\u0303"
"""Letters without a sound of their own: their time belongs to the letter after or before them."""


def phones(utterance: Utterance) -> list[Span]:
    """IPA with times. Spaces between words take no time of their own; at punctuation there is silence."""
    spans: list[Span] = []
    owed = None
    for letter, first, last in (
        (letter, max(0, a - LATE), max(0, b - LATE)) for letter, a, b in utterance.phones
    ):
        if letter and letter in AFTER_MARKS and spans:
            spans[-1] = (spans[-1][0], spans[-1][1], last)
        elif letter == " " and spans and spans[-1][0]:
            spans[-1] = (spans[-1][0], spans[-1][1], (first + last) // 2)
            owed = (first + last) // 2
        elif letter and letter in BEFORE_MARKS:
            owed = first if owed is None else owed
        else:
            name = "" if not letter or letter in PUNCTUATION + ' "“”()' else LETTERS.get(letter, letter)
            spans.append((name, first if owed is None else owed, last))
            owed = None
    return spans


def _mixture(random: np.random.Generator, voices: list[str], native: str) -> str:
    accent = random.choice(list(native))
    own = [voice for voice in voices if voice[0] == accent]
    first, second = random.choice(own), random.choice(voices)
    if random.random() < 0.4 or first == second:
        return str(first)
    share = round(float(random.uniform(0.45, 0.85)), 2)
    return f"{first}*{share}+{second}*{1 - share:.2f}"


def training_clips(kokoro: Kokoro, seed: int = 1) -> Iterator[Clip]:
    """Endless clips of voices that are not held out."""
    random = np.random.default_rng(seed)
    voices = [voice for voice in kokoro.voices() if voice not in HELD_OUT]
    texts = {language: (sentences(language, seed), alone(language, seed)) for language in LANGUAGES}
    while True:
        language = str(random.choice(list(LANGUAGES), p=list(LANGUAGES.values())))
        voice = _mixture(random, voices, NATIVE[language])
        text = next(texts[language][random.random() < ALONE])
        yield speak(kokoro, text, language, voice, float(random.uniform(0.8, 1.25)))


def held_out_clips(kokoro: Kokoro, each: int = 7) -> Iterator[Clip]:
    """`each` clips of every held-out voice."""
    for voice, language in HELD_OUT.items():
        for text in itertools.islice(sentences(language, hash_of(voice)), each):
            yield speak(kokoro, text, language, voice, 1.0)


def hash_of(name: str) -> int:
    """A seed that is the same in every run."""
    return int(sum(ord(letter) * 31**i for i, letter in enumerate(name)) % 2**31)


def speak(kokoro: Kokoro, text: str, language: str, voice: str, speed: float) -> Clip:
    """One clip."""
    spelling = "en-gb" if voice.startswith("b") else SPELLINGS.get(language, language)
    utterance = kokoro.say(letters(text, spelling), voice, speed)
    return clip_at_16k(f"kokoro:{voice}", language, utterance.samples, RATE, phones(utterance))


def speak_all(out: Path, minutes: float, cache: Path) -> None:
    """Fill out/train with `minutes` of speech, and out/test."""
    kokoro = Kokoro(cache)
    for i, clip in enumerate(held_out_clips(kokoro)):
        save(out / "test" / f"kokoro_{i:04}.npz", clip)
    left = minutes * 60 * 16_000
    for i, clip in enumerate(training_clips(kokoro)):
        save(out / "train" / f"kokoro_{i:04}.npz", clip)
        left -= len(clip.samples)
        if left < 0:
            break

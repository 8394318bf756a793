"""Clips of Kokoro: single voices and random mixtures of two, in six languages."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from training.articulation.corpus import Clip, clip_at_16k, save_clip
from training.articulation.kokoro import RATE, Kokoro, text_to_letters
from training.articulation.spelling import letters_to_phones
from training.articulation.texts import make_bilabial_words, make_sentences, make_single_words

HELD_OUT = {"af_heart": "en", "am_michael": "en", "bf_emma": "en", "zf_xiaoxiao": "zh", "zm_yunxi": "zh"}
"""Voices for testing; they are not in the training data, not even in a mixture."""

LANGUAGES = {"en": 0.45, "zh": 0.33, "es": 0.07, "fr": 0.07, "it": 0.04, "pt": 0.04}
NATIVE = {"en": "ab", "zh": "z", "es": "e", "fr": "f", "it": "i", "pt": "p"}
"""First letters of the voices of each language, drawn equally often: American and British for English."""

TEXTS = {make_sentences: 0.5, make_single_words: 0.3, make_bilabial_words: 0.2}
"""Kinds of texts and their shares of clips. Clips of a word or two are short: a quarter of the time."""

SPELLINGS = {"en": "en-us", "fr": "fr-fr", "pt": "pt-br"}
DURATION_DELAY = 1200
"""Samples at 24 kHz by which durations are late: in all voices sibilants correlate best with labels 50 ms earlier."""


def _mix_voices(random: np.random.Generator, voices: list[str], native: str) -> str:
    accent = random.choice(list(native))
    own = [voice for voice in voices if voice[0] == accent]
    first, second = random.choice(own), random.choice(voices)
    if random.random() < 0.4 or first == second:
        return str(first)
    share = round(float(random.uniform(0.45, 0.85)), 2)
    return f"{first}*{share}+{second}*{1 - share:.2f}"


def training_clips(kokoro: Kokoro, seed: int = 1) -> Iterator[Clip]:
    """Yield clips of voices that are not held out, without end."""
    random = np.random.default_rng(seed)
    voices = [voice for voice in kokoro.list_voices() if voice not in HELD_OUT]
    texts = {language: [kind(language, seed) for kind in TEXTS] for language in LANGUAGES}
    while True:
        language = str(random.choice(list(LANGUAGES), p=list(LANGUAGES.values())))
        voice = _mix_voices(random, voices, NATIVE[language])
        text = next(texts[language][random.choice(len(TEXTS), p=list(TEXTS.values()))])
        yield make_clip(kokoro, text, language, voice, float(random.uniform(0.8, 1.25)))


def held_out_clips(kokoro: Kokoro, each: int = 7) -> Iterator[Clip]:
    """Yield `each` clips of every held-out voice."""
    for voice, language in HELD_OUT.items():
        for text in itertools.islice(make_sentences(language, hash_name(voice)), each):
            yield make_clip(kokoro, text, language, voice, 1.0)


def hash_name(name: str) -> int:
    """A seed from a name, the same in every run."""
    return int(sum(ord(letter) * 31**i for i, letter in enumerate(name)) % 2**31)


def make_clip(kokoro: Kokoro, text: str, language: str, voice: str, speed: float) -> Clip:
    """Speak a text as one clip."""
    spelling = "en-gb" if voice.startswith("b") else SPELLINGS.get(language, language)
    utterance = kokoro.synthesise(text_to_letters(text, spelling), voice, speed)
    spans = letters_to_phones(utterance.phones, delay=DURATION_DELAY)
    return clip_at_16k(f"kokoro:{voice}", language, utterance.samples, RATE, spans)


def write_clips(out: Path, minutes: float, cache: Path) -> None:
    """Write `minutes` of training clips into out/train, and the held-out voices into out/test."""
    kokoro = Kokoro(cache)
    for i, clip in enumerate(held_out_clips(kokoro)):
        save_clip(out / "test" / f"kokoro_{i:04}.npz", clip)
    remaining_samples = minutes * 60 * 16_000
    for i, clip in enumerate(training_clips(kokoro)):
        save_clip(out / "train" / f"kokoro_{i:04}.npz", clip)
        remaining_samples -= len(clip.samples)
        if remaining_samples < 0:
            break

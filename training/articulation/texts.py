"""Texts to speak: random words in phrases of natural length, common words more often."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import wordfreq  # type: ignore[import-not-found, unused-ignore]
from pypinyin import Style, lazy_pinyin  # type: ignore[import-not-found, unused-ignore]


@cache
def _vocabulary(language: str) -> tuple[list[str], list[float]]:
    """Words, and their probabilities: proportional to the square root of their frequency, so that rare words occur."""
    words = [word for word in wordfreq.top_n_list(language, 6000) if word.isalpha()]
    weights = np.sqrt([wordfreq.word_frequency(word, language) for word in words])
    return words, (weights / weights.sum()).tolist()


def _marks(language: str) -> tuple[str, str, str]:
    """The separators of words and of phrases, and the final stop."""
    return ("", "，", "。") if language == "zh" else (" ", ", ", ".")


def make_sentences(language: str, seed: int) -> Iterator[str]:
    """Yield sentences of two or three phrases without end; `language` has two letters."""
    random = np.random.default_rng([seed, *language.encode()])
    words, weights = _vocabulary(language)
    space, comma, stop = _marks(language)
    while True:
        phrases = [
            random.choice(words, int(random.integers(3, 7)), p=weights)
            for _ in range(int(random.integers(2, 4)))
        ]
        yield comma.join(space.join(phrase) for phrase in phrases) + stop


def make_single_words(language: str, seed: int) -> Iterator[str]:
    """Yield single words without end, and two words in one of three texts."""
    random = np.random.default_rng([seed + 1, *language.encode()])
    words, weights = _vocabulary(language)
    space, _, stop = _marks(language)
    while True:
        yield space.join(random.choice(words, 1 + int(random.random() < 1 / 3), p=weights)) + stop


def make_bilabial_words(language: str, seed: int) -> Iterator[str]:
    """Yield the single words with p, b or m. The sound of a word spoken alone shows little of a lip closure."""
    return (text for text in make_single_words(language, seed) if set(_romanise(text, language)) & set("bpm"))


def _romanise(text: str, language: str) -> str:
    return "".join(lazy_pinyin(text)) if language == "zh" else text


def make_pinyin(seed: int) -> Iterator[str]:
    """Yield Mandarin sentences in pinyin with tone numbers, the neutral tone as 5."""
    for text in make_sentences("zh", seed):
        syllables = lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True)
        yield " ".join(syllables).replace("，", ",").replace("。", ".")

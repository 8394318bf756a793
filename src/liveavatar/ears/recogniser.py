"""Speech to text by Whisper base, run by CTranslate2 in 8 bits (OpenAI, MIT; 99 languages).

A. Radford et al., Robust speech recognition via large-scale weak supervision, 2022. Silence is never shown to the model,
which invents words for it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from liveavatar.ears.stretches import find_speech_stretches
from liveavatar.ears.vocabulary import TIME_STEP_SECONDS, Vocabulary, load_vocabulary, read_vocabulary_lines
from liveavatar.errors import OptionError
from liveavatar.frames import Samples
from liveavatar.speech.models.whisper import compute_whisper_mel, import_ctranslate2
from liveavatar.timeline import SAMPLE_RATE
from liveavatar.weights import ensure_weight_file

WINDOW_SAMPLES = 30 * SAMPLE_RATE
"""What the model was trained to hear at a time; less is filled with silence."""

_BEAM_SIZE = 2
_MAX_THREADS = 4
_MAX_TOKENS = 224
_MANDARIN_PROMPT = "以下是普通话的句子，用简体字。"
"""What Whisper takes for the sentence before: it goes on with simplified characters and punctuation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A sentence or a part of one, with the seconds in which it was heard."""

    text: str
    start_seconds: float
    end_seconds: float


def transcribe(samples: Samples, language: str | None = None) -> list[Segment]:
    """What is said in float32 mono at 16 kHz, in order. `language` is a code such as "zh"; None detects it.

    Raises:
        OptionError: there is no such language.
        EngineError: the extra `ears` is not installed.
        WeightsError: the model cannot be fetched.
    """
    model = load_recogniser()
    if language is not None and f"<|{language}|>" not in load_vocabulary().numbers:
        raise OptionError(f"there is no language {language!r}", 'use a code such as "en" or "zh"')
    segments: list[Segment] = []
    for start, end in find_speech_stretches(samples):
        segments += _read_stretch(model, samples[start:end], start / SAMPLE_RATE, language)
    return segments


@cache
def load_recogniser() -> Any:
    """The model, shared by all; it may be used by several threads.

    Raises:
        EngineError: CTranslate2 is not installed.
        WeightsError: the weights cannot be fetched.
    """
    module = import_ctranslate2("run: pip install 'liveavatar[ears]'")
    files = {
        "model.bin": ensure_weight_file("whisper_base").read_bytes(),
        "config.json": ensure_weight_file("whisper_base_config").read_bytes(),
        "vocabulary.txt": "\n".join(read_vocabulary_lines()).encode(),
    }
    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    return module.models.Whisper(
        "whisper-base", device="cpu", compute_type="int8", intra_threads=threads, files=files
    )


def _read_stretch(model: Any, sound: Samples, offset: float, language: str | None) -> Iterator[Segment]:
    """The segments of up to 28 s of sound, which begins `offset` seconds after the whole."""
    mel = compute_whisper_mel(np.pad(sound, (0, WINDOW_SAMPLES - len(sound))))
    view = import_ctranslate2().StorageView.from_array(np.ascontiguousarray(mel.T[None]))
    encoded, vocabulary = model.encode(view), load_vocabulary()
    spoken = f"<|{language}|>" if language else model.detect_language(encoded)[0][0][0]
    result = model.generate(
        encoded, [_make_prompt(vocabulary, spoken)], beam_size=_BEAM_SIZE, max_length=2 * _MAX_TOKENS
    )
    seconds = len(sound) / SAMPLE_RATE
    for text, start, end in split_at_times(result[0].sequences_ids[0], vocabulary, seconds):
        yield Segment(text=text, start_seconds=offset + start, end_seconds=offset + end)


def _make_prompt(vocabulary: Vocabulary, language: str) -> list[int]:
    numbers = vocabulary.numbers
    before = (
        [numbers["<|startofprev|>"], *vocabulary.encode_text(_MANDARIN_PROMPT)]
        if language == "<|zh|>"
        else []
    )
    return [*before, *(numbers[name] for name in ("<|startoftranscript|>", language, "<|transcribe|>"))]


def split_at_times(
    tokens: list[int], vocabulary: Vocabulary, seconds: float
) -> Iterator[tuple[str, float, float]]:
    """Text, start and end of the runs between tokens of time; what has no end lasts until `seconds`."""
    start, words = 0.0, list[int]()
    for token in tokens:
        if token < vocabulary.first_time:
            words.append(token)
            continue
        time = min(seconds, TIME_STEP_SECONDS * (token - vocabulary.first_time))
        if text := vocabulary.decode_text(words).strip():
            yield text, start, max(start, time)
        start, words = time, []
    if text := vocabulary.decode_text(words).strip():
        yield text, start, seconds

"""Speech to text by Whisper base, run by CTranslate2 in 8 bits (OpenAI, MIT; 99 languages).

A. Radford et al., Robust speech recognition via large-scale weak supervision, 2022. The model invents words for silence
and is not shown any. When words were heard is read from its attention to the sound, which CTranslate2 aligns.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from liveavatar.ears.stretches import find_speech_stretches
from liveavatar.ears.vocabulary import Vocabulary, load_vocabulary, read_vocabulary_lines
from liveavatar.errors import OptionError
from liveavatar.frames import Samples
from liveavatar.speech.models.whisper import compute_whisper_mel, import_ctranslate2
from liveavatar.timeline import SAMPLE_RATE
from liveavatar.weights import ensure_weight_file

WINDOW_SAMPLES = 30 * SAMPLE_RATE
"""What the model was trained to hear at a time; less is filled with silence."""

_BEAM_SIZE = 2
_MAX_THREADS = 4
_MAX_LENGTH = 448  # tokens, with the prompt
_PROMPT_LENGTH = 4  # tokens after the sentence before
_MEL_HOP_SAMPLES = 160
STEP_SECONDS = 0.02
"""Between two steps of the encoder."""

_TITLES = {b"Dr", b"Mr", b"Mrs", b"Ms", b"St", b"Prof"}
_SENTENCE_ENDS = tuple(mark.encode() for mark in ".!?。！？")
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
    prompt = _make_prompt(vocabulary, spoken)
    result = model.generate(encoded, [prompt], beam_size=_BEAM_SIZE, max_length=_MAX_LENGTH)
    tokens = [token for token in result[0].sequences_ids[0] if vocabulary.pieces[token]]
    if not tokens:
        return
    aligned = model.align(encoded, prompt[-_PROMPT_LENGTH:], [tokens], len(sound) // _MEL_HOP_SAMPLES)
    starts = find_token_starts(aligned[0].alignments, len(tokens), offset)
    for first, last in split_at_sentences([vocabulary.pieces[token] for token in tokens]):
        text = vocabulary.decode_text(tokens[first:last]).strip()
        if text:
            yield Segment(text=text, start_seconds=starts[first], end_seconds=starts[last - 1])


def _make_prompt(vocabulary: Vocabulary, language: str) -> list[int]:
    numbers = vocabulary.numbers
    before = (
        [numbers["<|startofprev|>"], *vocabulary.encode_text(_MANDARIN_PROMPT)]
        if language == "<|zh|>"
        else []
    )
    begin = ("<|startoftranscript|>", language, "<|transcribe|>", "<|notimestamps|>")
    return [*before, *(numbers[name] for name in begin)]


def find_token_starts(alignments: list[tuple[int, int]], count: int, offset: float) -> list[float]:
    """When each of `count` tokens begins, in seconds, from pairs of a token and a step of 20 ms in order."""
    first_steps: dict[int, int] = {}
    for token, step in alignments:
        first_steps.setdefault(token, step)
    known = np.array(sorted(first_steps))
    steps = np.interp(np.arange(count), known, [first_steps[token] for token in known])
    return [offset + STEP_SECONDS * float(step) for step in steps]


def split_at_sentences(pieces: Sequence[bytes]) -> list[tuple[int, int]]:
    """First token and end of each sentence. The stops of numbers and titles, as in 9.99 and Dr., end none."""
    ends = [
        place + 1
        for place, piece in enumerate(pieces)
        if piece.endswith(_SENTENCE_ENDS) and not (piece == b"." and _is_inside_sentence(pieces, place))
    ]
    return list(pairwise(sorted({0, *ends, len(pieces)})))


def _is_inside_sentence(pieces: Sequence[bytes], place: int) -> bool:
    follower = pieces[place + 1][:1] if place + 1 < len(pieces) else b""
    return follower.isdigit() or (place > 0 and pieces[place - 1].strip() in _TITLES)

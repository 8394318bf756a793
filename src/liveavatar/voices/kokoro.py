"""The voices of Kokoro-82M (Apache-2.0): English and Mandarin, also in one text."""

import json
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Samples
from liveavatar.voices.clauses import split_into_clauses, split_phonemes
from liveavatar.voices.english import PhonemeTable, import_voice_package, load_english_reader
from liveavatar.voices.mandarin import read_mandarin
from liveavatar.voices.text import detect_languages, prepare_text
from liveavatar.voices.voice import SpokenClause, assemble_clauses, scale_sound
from liveavatar.weights import ensure_weight_file
from liveavatar.weights.onnx import open_onnx_model

KOKORO_RATE = 24_000
"""Hz."""

_MAX_PHONEMES = 500
"""The model takes 510 and one at each end."""

_STYLE_SIZE = 256
_GAIN = 0.9
"""To between -25 and -21 LUFS."""


class KokoroVoice:
    """One voice of Kokoro, by the name of its style file, such as "af_heart"."""

    def __init__(self, name: str) -> None:
        self._name = name

    def speak(self, text: str) -> Iterator[SpokenClause]:
        """Speak English, Mandarin, or both; see `Voice`.

        Raises:
            VoiceError: it cannot be spoken, or the extra `voices` is not installed.
            WeightsError: the model cannot be fetched.
        """
        prepared = prepare_text(text)
        (
            self._styles,
            _load_kokoro(),
            load_english_reader(british=self._is_british),
        )  # now, not at the first clause
        return assemble_clauses(split_into_clauses(prepared), self._synthesise, KOKORO_RATE)

    @property
    def _is_british(self) -> bool:
        return self._name.startswith("b")

    @cached_property
    def _styles(self) -> NDArray[np.float32]:
        """One style for each number of phonemes, [510, 256]."""
        return np.fromfile(ensure_weight_file(f"kokoro_{self._name}"), np.float32).reshape(-1, _STYLE_SIZE)

    def _synthesise(self, text: str) -> Samples:
        read_english = load_english_reader(british=self._is_british)
        is_english = "zh" not in detect_languages(text) and not self._name.startswith("z")
        phonemes = read_english(text) if is_english else read_mandarin(text, read_english)
        table = load_phoneme_table()
        known = "".join(phoneme for phoneme in phonemes if phoneme in table)
        return np.concatenate([self._run_model(piece) for piece in split_phonemes(known, _MAX_PHONEMES)])

    def _run_model(self, phonemes: str) -> Samples:
        if not phonemes.strip():
            return np.zeros(0, np.float32)
        table = load_phoneme_table()
        inputs = {
            "tokens": np.array([[0, *(table[phoneme] for phoneme in phonemes), 0]], np.int64),
            "style": self._styles[len(phonemes) - 1][None],
            "speed": np.ones(1, np.float32),
        }
        return scale_sound(np.asarray(_load_kokoro().run(["audio"], inputs)[0]).reshape(-1), _GAIN)


@cache
def load_phoneme_table() -> PhonemeTable:
    """The number of each phoneme in Kokoro's input; hibari has the same.

    Raises:
        VoiceError: hibari-tts is not installed.
    """
    package = import_voice_package("hibari")
    table: PhonemeTable = json.loads((files(package) / "assets" / "vocab.json").read_text(encoding="utf-8"))
    return table


@cache
def _load_kokoro() -> Any:
    return open_onnx_model("kokoro", extra="voices")

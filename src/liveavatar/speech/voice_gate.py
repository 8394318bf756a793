"""Keeps the mouth shut while there is sound and no voice: instruments, tones, applause.

The articulation network was trained on voices and gives mouth shapes for anything that sounds. Silero VAD tells voices
from the rest; whispered, sung and noisy voices too. Silence needs no gate.
"""

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.frames import Samples
from liveavatar.speech.track import STEP_SAMPLES
from liveavatar.timeline import SAMPLE_RATE

MAX_LEAD_SAMPLES = 1_720
"""Sound after a step in which a voice opens the gate, 108 ms: the detector takes one to three windows to notice it."""

HOLD_SAMPLES = SAMPLE_RATE
"""A second, longer than the pauses within a sentence: so long the gate stays open after the last voice."""

HOLD_THRESHOLD = 0.3
"""Probability of a voice that keeps the gate open, once `SPEECH_THRESHOLD` has opened it."""

SOUND_BELOW_REFERENCE_DB = 30.0
"""Sound so far below the level of the speaker is silence (`features.QUIET_RELATIVE_MEL`): it does not shut the gate."""

SHUTTING_RATE = 0.1
"""Fall of the gate in a step after a voice: 100 ms. Before the first voice it shuts at once."""


class VoiceGate:
    """Opening of the mouth, 0…1, for each step of one stream. Any chunking gives the same.

    A step hears `lead` samples beyond its last one. The detector costs about 0.2 ms of a core for every 32 ms of sound.
    """

    def __init__(self, lead: int) -> None:
        self._lead = min(lead, MAX_LEAD_SAMPLES)
        self._detector = VoiceActivityDetector()
        self._held_until = np.zeros(0, np.int64)  # of each window: the first sample that is not held open
        self._dropped_windows = 0
        self._last_hold = 0
        self._opening = 1.0

    def push(self, samples: Samples) -> None:
        """Take the next sound, float32 [n]."""
        probabilities = self._detector.push(samples)
        first = self._dropped_windows + len(self._held_until)
        ends = (first + 1 + np.arange(len(probabilities))) * VAD_WINDOW_SAMPLES
        holds = []
        for end, probability in zip(ends.tolist(), probabilities.tolist(), strict=True):
            is_held = end <= self._last_hold
            if probability >= (HOLD_THRESHOLD if is_held else SPEECH_THRESHOLD):
                self._last_hold = end + HOLD_SAMPLES
            holds.append(self._last_hold)
        self._held_until = np.concatenate([self._held_until, np.array(holds, np.int64)])

    def track_opening(
        self, start: int, levels: NDArray[np.float32], references: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The opening at the steps from `start` on, [n], from their loudness and its reference in dB, [n] each."""
        is_loud = (levels > references - SOUND_BELOW_REFERENCE_DB).tolist()
        out = np.empty(len(levels), np.float32)
        for i, loud in enumerate(is_loud):
            held_until = self._find_hold(start + i)
            if held_until > (start + i) * STEP_SAMPLES:
                self._opening = 1.0
            elif loud:
                self._opening = max(0.0, self._opening - SHUTTING_RATE) if held_until else 0.0
            out[i] = self._opening
        self._drop_old_windows(start + len(levels))
        return out

    def _find_hold(self, step: int) -> int:
        """The sample until which the gate is held open, as known `lead` samples after a step; 0 before any voice."""
        window = self._count_windows(step) - 1 - self._dropped_windows
        return int(self._held_until[window]) if window >= 0 else 0

    def _count_windows(self, step: int) -> int:
        """Windows that are complete `lead` samples after a step."""
        return ((step + 1) * STEP_SAMPLES + self._lead) // VAD_WINDOW_SAMPLES

    def _drop_old_windows(self, next_step: int) -> None:
        old = max(0, self._count_windows(next_step) - 1 - self._dropped_windows)
        old = min(old, len(self._held_until))  # that of the next step may not be complete
        self._held_until = self._held_until[old:]
        self._dropped_windows += old

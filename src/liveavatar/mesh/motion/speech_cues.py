"""The cues of speech that motion follows: phrases, pauses and stressed syllables."""

from dataclasses import dataclass

from liveavatar.mesh.motion.signals import TICK_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceCues:
    """Prosody at one time; units as in `HeadPoseGenerator.next_pose`."""

    energy: float
    pitch: float
    emphasis: float
    speaking: float


class PhraseTracker:
    """Phrases and pauses: `speaking` within a phrase; `started` and `ended` at its first and last tick."""

    START_SECONDS, END_SECONDS = 0.06, 0.25
    """Duration of speech that starts a phrase, and of silence that ends it: longer than the closure of a stop."""

    def __init__(self) -> None:
        self.speaking = self.started = self.ended = False
        self._contradicted_seconds = 0.0  # for how long the voice has differed from `speaking`

    def update_phrase(self, speaking: float) -> None:
        """Advance by a tick; `speaking` is the probability of speech. `started` and `ended` hold for one tick."""
        differs = (speaking > 0.5) != self.speaking
        self._contradicted_seconds = self._contradicted_seconds + TICK_SECONDS if differs else 0.0
        turned = self._contradicted_seconds > (self.END_SECONDS if self.speaking else self.START_SECONDS)
        self.started, self.ended = turned and not self.speaking, turned and self.speaking
        self.speaking ^= turned


class StressDetector:
    """Detects stressed syllables: emphasis that rises above a threshold, once until it has fallen below a lower one."""

    HIGH_THRESHOLD, LOW_THRESHOLD = 0.4, 0.25

    def __init__(self) -> None:
        self._is_armed = True

    def detect_stress(self, emphasis: float) -> bool:
        """Whether a stressed syllable begins at this tick."""
        found = self._is_armed and emphasis > self.HIGH_THRESHOLD
        self._is_armed = not found and (self._is_armed or emphasis < self.LOW_THRESHOLD)
        return found

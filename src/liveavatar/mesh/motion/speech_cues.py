"""What the motion takes from speech: phrases, the pauses between them, and stressed syllables."""

from dataclasses import dataclass

from liveavatar.mesh.motion.signals import TICK_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceCues:
    """The speech at one moment, as `Motion.step` gets it."""

    energy: float
    pitch: float
    emphasis: float
    speaking: float


class PhraseTracker:
    """Runs of speech and the pauses between them."""

    def __init__(self) -> None:
        self.speaking = self.started = self.ended = False
        self._contradicted_seconds = 0.0  # seconds for which the voice has contradicted `speaking`

    def update_phrase(self, speaking: float) -> None:
        """Speech for 60 ms starts a phrase, 250 ms without end one; `started`, `ended` hold for a tick."""
        self._contradicted_seconds = (
            self._contradicted_seconds + TICK_SECONDS if (speaking > 0.5) != self.speaking else 0.0
        )
        turned = self._contradicted_seconds > (0.25 if self.speaking else 0.06)
        self.started, self.ended = turned and not self.speaking, turned and self.speaking
        self.speaking ^= turned


class StressDetector:
    """Finds stressed syllables: emphasis that rises through a threshold, once until it has fallen again."""

    def __init__(self) -> None:
        self._is_armed = True

    def detect_stress(self, emphasis: float) -> bool:
        """Whether one begins now."""
        found = self._is_armed and emphasis > 0.4
        self._is_armed = not found and (self._is_armed or emphasis < 0.25)
        return found

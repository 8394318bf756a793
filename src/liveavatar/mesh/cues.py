"""What the motion takes from speech: phrases, the pauses between them, and stressed syllables."""

from dataclasses import dataclass

from liveavatar.mesh.signals import DT


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The speech at one moment, as `Motion.step` gets it."""

    energy: float
    pitch: float
    emphasis: float
    speaking: float


class Phrase:
    """Runs of speech and the pauses between them."""

    def __init__(self) -> None:
        self.speaking = self.started = self.ended = False
        self._against = 0.0  # seconds for which the voice has contradicted `speaking`

    def tick(self, speaking: float) -> None:
        """Speech for 60 ms starts a phrase, 250 ms without end one; `started`, `ended` hold for a tick."""
        self._against = self._against + DT if (speaking > 0.5) != self.speaking else 0.0
        turned = self._against > (0.25 if self.speaking else 0.06)
        self.started, self.ended = turned and not self.speaking, turned and self.speaking
        self.speaking ^= turned


class Accents:
    """Finds stressed syllables: emphasis that rises through a threshold, once until it has fallen again."""

    def __init__(self) -> None:
        self._armed = True

    def tick(self, emphasis: float) -> bool:
        """Whether one begins now."""
        found = self._armed and emphasis > 0.4
        self._armed = not found and (self._armed or emphasis < 0.25)
        return found

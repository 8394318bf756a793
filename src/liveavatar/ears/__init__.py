"""Recognition of speech and of the end of a turn, without a network."""

from liveavatar.ears.end_of_turn import EndOfTurn
from liveavatar.ears.recogniser import Segment, transcribe
from liveavatar.ears.turns import SpeechStarted, TurnDetector, TurnEnded

__all__ = ["EndOfTurn", "Segment", "SpeechStarted", "TurnDetector", "TurnEnded", "transcribe"]

"""From the sound of speech to the shape of the mouth: visemes, mouth controls and prosody, 100 times a second."""

from liveavatar.speech.stream import SpeechStream
from liveavatar.speech.track import CONTROLS, VISEMES, SpeechTrack

__all__ = ["CONTROLS", "VISEMES", "SpeechStream", "SpeechTrack"]

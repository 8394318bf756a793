"""Text to speech without a network: a text is spoken clause by clause."""

from liveavatar.voices.catalogue import VOICES, open_voice
from liveavatar.voices.speech_file import write_speech
from liveavatar.voices.voice import SpokenClause, Voice

__all__ = ["VOICES", "SpokenClause", "Voice", "open_voice", "write_speech"]

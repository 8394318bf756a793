"""The parts of a conversation that need no network: Whisper base hears, a voice of `voices` speaks."""

from collections.abc import Iterator

from liveavatar.conversation.history import join_clauses
from liveavatar.conversation.partner import SpeechPiece
from liveavatar.ears.recogniser import transcribe
from liveavatar.frames import Samples
from liveavatar.voices.catalogue import AUTO_VOICE, choose_voice_name, open_voice

_COMMA_PAUSE_SECONDS = 0.05
"""After a clause that ends with a comma: the next one begins with a tenth of a second of silence."""
_COMMAS = tuple(",;:，；：、—–")


class WhisperRecogniser:
    """Recognises speech by the model of `ears`."""

    def recognise_speech(self, sound: Samples) -> str:
        """The words in float32 mono at 16 kHz.

        Raises:
            EngineError: the extra `ears` is not installed.
            WeightsError: the model cannot be fetched.
        """
        return join_clauses([segment.text for segment in transcribe(sound)])


class VoiceSpeaker:
    """Speaks by the voice `name`, or, for "auto", by the one of each clause's language."""

    def __init__(self, name: str = AUTO_VOICE) -> None:
        self._name = name

    def speak_clause(self, text: str) -> Iterator[SpeechPiece]:
        """The sound of a clause, then the pause after it.

        Raises:
            VoiceError: it cannot be spoken, or the extra `voices` is not installed.
            WeightsError: the model cannot be fetched.
        """
        is_open = text.rstrip().endswith(_COMMAS)
        for spoken in open_voice(choose_voice_name(self._name, text)).speak(text):
            pause = spoken.samples[spoken.voiced_count :]
            if is_open:
                pause = pause[: round(_COMMA_PAUSE_SECONDS * spoken.rate)]
            yield SpeechPiece(samples=spoken.samples[: spoken.voiced_count], rate=spoken.rate)
            yield SpeechPiece(samples=pause, rate=spoken.rate, is_pause=True)

"""Who answers in live sessions: an echo, or parts that are offline unless an endpoint is named."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from liveavatar.conversation.conversation import Conversation
from liveavatar.conversation.events import ConversationEvent
from liveavatar.conversation.local_parts import VoiceSpeaker, WhisperRecogniser
from liveavatar.conversation.partner import EchoPartner, Partner, Recogniser, SpokenPartner, TextSpeaker
from liveavatar.conversation.runner import ConversationRunner
from liveavatar.ears.end_of_turn import HEARD_SAMPLES, EndOfTurn
from liveavatar.ears.turns import TurnDetector
from liveavatar.errors import OptionError
from liveavatar.live.session import LiveSession
from liveavatar.server.endpoints.chat import EndpointResponder
from liveavatar.server.endpoints.endpoint_client import EndpointClient
from liveavatar.server.endpoints.endpoint_settings import EndpointSettings, load_endpoints
from liveavatar.server.endpoints.speech import EndpointSpeaker
from liveavatar.server.endpoints.transcription import EndpointRecogniser
from liveavatar.server.settings import ServerSettings

ECHO, AUTO = "echo", "auto"
CONVERSE_MODES = (ECHO, AUTO)

_EARS, _VOICES = ("onnxruntime", "ctranslate2"), ("onnxruntime", "hibari", "pypinyin")


def create_conversation_opener(settings: ServerSettings) -> "ConversationOpener | None":
    """What opens the conversations of a server, None if its faces do not answer.

    Raises:
        OptionError: the settings cannot be used; see `ConversationOpener` and `load_endpoints`.
    """
    if settings.converse is None:
        if settings.endpoints_file is not None:
            raise OptionError("--endpoints names services of a conversation", "add --converse auto")
        return None
    return ConversationOpener(settings.converse, load_endpoints(file=settings.endpoints_file))


class ConversationOpener:
    """Opens conversations; their models and connections are shared.

    Raises:
        OptionError: there is no such mode, an extra is not installed, or no language model is named.
    """

    def __init__(self, mode: str, endpoints: dict[str, EndpointSettings]) -> None:
        if mode not in CONVERSE_MODES:
            raise OptionError(
                f"there is no conversation {mode[:40]!r}", f"use --converse {' or '.join(CONVERSE_MODES)}"
            )
        self.mode = mode
        _require_packages(_EARS, "ears")
        self._end_of_turn = EndOfTurn()
        self._partner: Partner = EchoPartner() if mode == ECHO else build_spoken_partner(endpoints)

    def open_conversation(
        self, session: LiveSession, publish: Callable[[ConversationEvent], None]
    ) -> ConversationRunner:
        """A conversation with the face of a session. Blocks while the model that hears turns is loaded, the first time.

        Raises:
            WeightsError: that model cannot be fetched.
        """
        self._end_of_turn.predict(np.zeros(HEARD_SAMPLES, np.float32))
        detector = TurnDetector(self._end_of_turn.predict)
        return ConversationRunner(Conversation(session, detector, self._partner, publish))


def build_spoken_partner(endpoints: dict[str, EndpointSettings]) -> SpokenPartner:
    """The partner of the endpoints, with offline parts in place of those that are not named.

    Raises:
        OptionError: no language model is named, or the extra of an offline part is not installed.
    """
    if "llm" not in endpoints:
        raise OptionError(
            "no language model answers: there is none offline",
            "set LIVEAVATAR_LLM_URL and LIVEAVATAR_LLM_MODEL, or use --converse echo",
        )
    recogniser: Recogniser
    speaker: TextSpeaker
    if "asr" in endpoints:
        recogniser = EndpointRecogniser(EndpointClient("asr", endpoints["asr"]))
    else:
        recogniser = WhisperRecogniser()
    if "tts" in endpoints:
        speaker = EndpointSpeaker(EndpointClient("tts", endpoints["tts"]))
    else:
        _require_packages(_VOICES, "voices")
        speaker = VoiceSpeaker()
    return SpokenPartner(recogniser, EndpointResponder(EndpointClient("llm", endpoints["llm"])), speaker)


def _require_packages(packages: tuple[str, ...], extra: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise OptionError(f"{missing[0]} is not installed", f"run: pip install 'liveavatar[{extra}]'")

"""The threads of a conversation."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from conversation.talkers import Talk
from liveavatar.conversation.conversation import Conversation
from liveavatar.conversation.events import ListeningStarted, PartFailed
from liveavatar.conversation.partner import EchoPartner
from liveavatar.conversation.runner import MAX_WAITING_CHUNKS, ConversationRunner
from liveavatar.ears.turns import TurnDetector
from liveavatar.errors import AudioError, SpeechQueueFull, WeightsError
from liveavatar.frames import Samples

PATIENCE = 60.0  # seconds; only a hang takes so long


def wait_until(is_done: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not is_done():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_microphone_of_any_rate_is_heard(babble: Samples) -> None:
    talk = Talk()
    runner = ConversationRunner(talk.talk)
    runner.start()
    runner.push_sound(np.repeat(babble, 3)[:, None], 48_000)
    wait_until(lambda: any(isinstance(event, ListeningStarted) for event in talk.events))
    runner.stop()


def test_sound_that_nobody_hears_is_refused_and_bounded() -> None:
    runner = ConversationRunner(Talk().talk)
    with pytest.raises(AudioError):
        runner.push_sound([0.0], 7)
    with pytest.raises(SpeechQueueFull, match="faster"):
        runner.push_sound(np.zeros((MAX_WAITING_CHUNKS + 1) * 1_600, np.float32), 16_000)


def test_a_model_that_is_missing_is_told(babble: Samples) -> None:
    def fail(_: Samples) -> float:
        raise WeightsError("the model is not there", "fetch it")

    talk = Talk()
    talk.talk = Conversation(talk.stage.session, TurnDetector(fail), EchoPartner(), talk.events.append)
    runner = ConversationRunner(talk.talk)
    runner.start()
    runner.push_sound(babble, 16_000)
    wait_until(lambda: any(isinstance(event, PartFailed) for event in talk.events))
    runner.stop()

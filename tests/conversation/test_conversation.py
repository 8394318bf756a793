"""Every turn is answered once, whoever speaks is not spoken over, and the history is what both heard."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation.talkers import (
    WORD_SECONDS,
    CountingRecogniser,
    FailingResponder,
    PlainResponder,
    Talk,
    ToneSpeaker,
    build_partner,
)
from live.fakes import join_sound
from liveavatar.conversation.events import (
    AnswerFinished,
    AnswerStarted,
    AnswerStatus,
    ListeningStarted,
    PartFailed,
    WordsRecognised,
)
from liveavatar.conversation.history import Message
from liveavatar.conversation.partner import EchoPartner, SpokenPartner
from liveavatar.ears.turns import TurnEvent
from liveavatar.frames import Samples
from liveavatar.live.messages import SpeechCleared

PAUSE = np.zeros(8_000, np.float32)
ANSWER = "one two three, four five six seven eight. Nine ten."


@pytest.fixture(scope="module")
def phrase(babble: Samples) -> Samples:
    """A turn: speech, and half a second of silence."""
    return np.concatenate([PAUSE, babble[:14_000], PAUSE])


def test_an_echo_repeats_the_sound_of_a_turn_and_nothing_else(phrase: Samples) -> None:
    talk = Talk()
    talk.talk.hear_sound(phrase)
    while talk.talk.advance():
        pass
    sound = join_sound(talk.stage.run_for(3))[::3]
    score = np.correlate(sound, phrase[9_000:20_000], "valid").max() / np.sum(phrase[9_000:20_000] ** 2)
    assert score == pytest.approx(1, abs=0.05)
    assert np.count_nonzero(np.abs(sound) > 1e-4) < 24_000
    talk.talk.advance()
    assert [event.status for event in talk.finished()] == [AnswerStatus.COMPLETED]


def test_a_turn_is_recognised_answered_and_remembered(phrase: Samples) -> None:
    talk = Talk(build_partner(ANSWER))
    talk.talk.hear_sound(phrase)
    talk.answer_for(1.8)
    assert talk.talk.history.list_messages() == (
        Message(role="user", text="turn 1"),
        Message(role="assistant", text=ANSWER),
    )
    kinds = [type(event).__name__ for event in talk.events]
    assert kinds == [
        "ListeningStarted", "ListeningStopped", "WordsRecognised", "AnswerStarted",
        "AnswerText", "AnswerText", "AnswerFinished",
    ]  # fmt: skip


@settings(max_examples=8, deadline=None)
@given(seconds=st.floats(0.0, 1.4))
def test_what_was_not_heard_is_cut_from_the_history(phrase: Samples, seconds: float) -> None:
    partner = build_partner(ANSWER)
    talk = Talk(partner)
    talk.talk.add_text("hello")
    talk.answer_for(seconds)
    talk.talk.stop_answer()
    talk.answer_for(0.2)
    messages = talk.talk.history.list_messages()
    said = messages[1].text if len(messages) > 1 else ""
    assert ANSWER.startswith(said)
    heard = sum(event.heard_seconds for event in talk.finished())
    assert len(said.split()) * WORD_SECONDS <= heard + WORD_SECONDS
    assert (len(said.split()) + 2) * WORD_SECONDS >= heard
    talk.talk.add_text("go on")
    talk.answer_for(1.8)
    roles = [message.role for message in talk.talk.history.list_messages()]
    assert roles == ["user", "assistant"] * (len(roles) // 2)


def test_an_onset_interrupts_before_more_is_heard(babble: Samples) -> None:
    """In one large chunk: the rest of it is heard after the interruption, which comes 96 ms after the onset."""
    talk = Talk(build_partner("word " * 60))
    talk.talk.add_text("hello")
    talk.answer_for(1)
    heard: list[int] = []
    detector, push = talk.talk._detector, talk.talk._detector.push

    def push_and_look(samples: Samples) -> list[TurnEvent]:
        speaks = not any(isinstance(message, SpeechCleared) for message in talk.stage.viewer.take_messages())
        heard.append(len(samples) if speaks and heard[-1:] != [0] else 0)
        return push(samples)

    detector.push = push_and_look  # type: ignore[method-assign]
    talk.talk.hear_sound(np.concatenate([PAUSE, babble]))
    (started,) = [event for event in talk.events if isinstance(event, ListeningStarted)][:1]
    assert 0.09 <= sum(heard) / 16_000 - started.seconds <= 0.13
    assert heard[-1] == 0


def test_nothing_is_interrupted_while_nobody_speaks(phrase: Samples) -> None:
    talk = Talk(build_partner(ANSWER))
    talk.talk.hear_sound(phrase)
    assert not any(isinstance(message, SpeechCleared) for message in talk.stage.run_for(0.1))
    talk.answer_for(3)
    talk.talk.hear_sound(phrase)
    assert not any(isinstance(message, SpeechCleared) for message in talk.stage.viewer.take_messages())


ACTIONS = st.lists(
    st.one_of(st.just("speak"), st.just("type"), st.just("stop"), st.just("answer"), st.floats(0.04, 0.6)),
    max_size=14,
)


@settings(max_examples=15, deadline=None)
@given(actions=ACTIONS)
def test_any_interleaving_leaves_a_consistent_conversation(
    babble: Samples, actions: list[str | float]
) -> None:
    responder = PlainResponder(ANSWER)
    talk = Talk(SpokenPartner(CountingRecogniser(), responder, ToneSpeaker()))
    turns = 0
    for action in actions:
        if isinstance(action, float):
            talk.stage.run_for(action)
        elif action == "speak":
            turns += 1
            talk.talk.hear_sound(np.concatenate([babble[:14_000], PAUSE]))
        elif action == "type":
            turns += 1
            talk.talk.add_text("typed")
        elif action == "stop":
            talk.talk.stop_answer()
        else:
            talk.talk.advance()
    talk.talk.add_text("last")
    talk.answer_for(4)
    items = [event.item for event in talk.events if isinstance(event, WordsRecognised)]
    assert len(items) == len(set(items)) == min(turns, 8 + turns) + 1 - count_dropped(talk)
    started = [event.item for event in talk.events if isinstance(event, AnswerStarted)]
    assert len(started) == len(set(started))
    assert started[-1] == items[-1]
    assert len(talk.finished()) == len(started)
    assert talk.finished()[-1].status is AnswerStatus.COMPLETED
    assert all(ANSWER.startswith(event.text) for event in talk.finished())
    messages = talk.talk.history.list_messages()
    assert [message.role for message in messages] == ["user", "assistant"] * (len(messages) // 2)
    heard = [event.text for event in talk.finished() if event.text]
    assert [message.text for message in messages if message.role == "assistant"] == heard


def count_dropped(talk: Talk) -> int:
    return sum(isinstance(event, PartFailed) for event in talk.events)


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 30_000), max_size=8))
def test_chunking_of_the_microphone_does_not_matter(phrase: Samples, cuts: list[int]) -> None:
    def converse(chunks: list[Samples]) -> list[bytes]:
        partner = build_partner(ANSWER)
        talk = Talk(partner)
        for chunk in chunks:
            talk.talk.hear_sound(chunk)
        talk.answer_for(0.1)
        assert isinstance(partner._recogniser, CountingRecogniser)
        return [sound.tobytes() for sound in partner._recogniser.heard]

    whole = converse([phrase])
    assert len(whole) == 1
    assert converse(np.split(phrase, sorted(cuts))) == whole


def test_a_turn_goes_on_after_an_end_that_was_none(phrase: Samples) -> None:
    """The second turn begins before the first was answered: it was one thought, and is answered once."""
    talk = Talk(build_partner(ANSWER))
    talk.talk.hear_sound(phrase)
    talk.talk.hear_sound(phrase)
    talk.answer_for(1.8)
    assert [message.text for message in talk.talk.history.list_messages()] == ["turn 1 turn 2", ANSWER]


def test_a_failure_is_told_once_and_the_conversation_goes_on() -> None:
    talk = Talk(SpokenPartner(CountingRecogniser(), FailingResponder(), ToneSpeaker()))
    for _ in range(2):
        talk.talk.add_text("hello")
        talk.answer_for(3)
    assert count_dropped(talk) == 2
    assert [event.status for event in talk.finished()] == [AnswerStatus.FAILED] * 2
    assert talk.talk.history.list_messages()[1].text == "One moment, please."


def test_an_echo_says_that_it_reads_nothing() -> None:
    talk = Talk(EchoPartner())
    talk.talk.add_text("hello")
    talk.answer_for(0.2)
    (failed,) = [event for event in talk.events if isinstance(event, PartFailed)]
    assert "repeats sound" in failed.problem


def test_a_forgotten_turn_is_not_answered_and_a_committed_one_is(babble: Samples) -> None:
    talk = Talk()
    talk.talk.hear_sound(babble[:14_000])
    talk.talk.forget_turn()
    talk.talk.end_turn()
    talk.answer_for(0.2)
    assert [type(event) for event in talk.events] == [ListeningStarted]
    talk.talk.hear_sound(babble[:14_000])
    talk.talk.end_turn()
    talk.answer_for(3)
    assert isinstance(talk.events[-1], AnswerFinished)


def test_a_long_answer_waits_for_its_place() -> None:
    talk = Talk(build_partner("word " * 20))
    talk.stage.session._queue._max_seconds = 0.5
    talk.talk.add_text("hello")
    talk.answer_for(0.4)
    assert 0.3 < talk.stage.session.queued_seconds <= 0.5
    talk.answer_for(2.4)
    assert talk.finished()[-1].heard_seconds == pytest.approx(20 * WORD_SECONDS)


def test_a_closed_session_ends_the_answer() -> None:
    talk = Talk(build_partner(ANSWER))
    talk.talk.add_text("hello")
    talk.answer_for(0.4)
    talk.stage.session.close()
    while talk.talk.advance():
        pass
    assert talk.finished()[-1].status is AnswerStatus.CANCELLED
    talk.talk.add_text("anybody there?")
    while talk.talk.advance():
        pass
    assert len(talk.finished()) == 1

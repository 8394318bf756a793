"""Turns in live sound, with a model of ours that says what the test wants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.ears.turns import SpeechStarted, TurnDetector, TurnEnded, TurnEvent
from liveavatar.frames import Samples

PAUSE = np.zeros(16_000, np.float32)


def describe_events(events: list[TurnEvent]) -> list[tuple[object, ...]]:
    return [
        (event.start, event.end, event.samples.tobytes()) if isinstance(event, TurnEnded) else (event.start,)
        for event in events
    ]


def hear(sound: Samples, probability: float) -> list[TurnEvent]:
    detector = TurnDetector(lambda _: probability)
    return detector.push(sound) + detector.flush()


@pytest.fixture(scope="module")
def phrase(babble: Samples) -> Samples:
    """A second of speech without a pause of a fifth of a second."""
    return babble[:14_000]


def test_a_complete_turn_ends_soon_after_its_last_sound(phrase: Samples) -> None:
    detector = TurnDetector(lambda _: 0.9)
    events = detector.push(np.concatenate([PAUSE, phrase, PAUSE[:8_000]]))
    started, ended = events
    assert isinstance(started, SpeechStarted)
    assert isinstance(ended, TurnEnded)
    assert started.start == ended.start
    assert abs(started.start - 16_000) < 4_000
    assert abs(ended.end - 30_000) < 4_000
    assert len(ended.samples) >= ended.end - ended.start


def test_an_incomplete_turn_goes_on_after_a_pause(phrase: Samples) -> None:
    sound = np.concatenate([phrase, PAUSE[:12_000], phrase, PAUSE])
    assert len(hear(sound, 0.1)) == 2
    assert len(hear(sound, 0.9)) == 4


def test_a_long_silence_ends_a_turn_whatever_the_model_says(phrase: Samples) -> None:
    detector = TurnDetector(lambda _: 0.0)
    events = detector.push(np.concatenate([phrase, PAUSE, PAUSE]))
    assert [type(event) for event in events] == [SpeechStarted, TurnEnded]


def test_the_model_is_asked_once_a_pause(phrase: Samples) -> None:
    asked: list[int] = []

    def predict_end(samples: Samples) -> float:
        asked.append(len(samples))
        return 0.1

    sound = np.concatenate([phrase, PAUSE, phrase, PAUSE])
    TurnDetector(predict_end).push(sound)
    assert sum(length <= len(phrase) + len(PAUSE) for length in asked) == 1
    assert sum(length > len(sound) - len(PAUSE) for length in asked) == 1


def test_silence_and_clicks_are_no_turn() -> None:
    click = PAUSE.copy()
    click[8_000:8_100] = 0.9
    assert hear(np.concatenate([PAUSE, click, PAUSE]), 0.9) == []


def test_a_turn_of_a_minute_ends(phrase: Samples) -> None:
    events = hear(np.tile(phrase[2_000:12_000], 110), 0.0)
    assert [type(event) for event in events[:3]] == [SpeechStarted, TurnEnded, SpeechStarted]
    assert isinstance(events[1], TurnEnded)
    assert len(events[1].samples) <= 61 * 16_000


@settings(max_examples=15)
@given(data=st.data())
def test_chunking_does_not_matter(babble: Samples, data: st.DataObject) -> None:
    sound = np.concatenate([babble, PAUSE[:9_000], babble[:9_000]])
    detector = TurnDetector(lambda samples: len(samples) % 2)
    whole = detector.push(sound) + detector.flush()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sound)), max_size=8)))
    events = [event for chunk in np.split(sound, cuts) for event in detector.push(chunk)]
    assert describe_events(events + detector.flush()) == describe_events(whole)
    assert len(whole) >= 2

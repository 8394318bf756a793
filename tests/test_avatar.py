"""Sessions of an avatar, on a fake engine that counts samples."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from liveavatar.avatar import Avatar, AvatarSession
from liveavatar.errors import SessionClosed
from liveavatar.frames import Samples, VideoFrame

FRAME_SAMPLES = 640
SECOND = np.zeros(16_000, np.float32)


class CountingSession:
    """A black frame for every 640 samples. Like every engine, it refuses sound after `flush`."""

    lookahead = 0

    def __init__(self) -> None:
        self.sample_count, self.frame_count, self.flush_count = 0, 0, 0

    def push(self, samples: Samples) -> None:
        if self.flush_count:
            raise SessionClosed("the session has been flushed", "open a new one")
        self.sample_count += len(samples)

    def flush(self) -> None:
        self.flush_count += 1

    def interrupt(self) -> None:
        self.sample_count = FRAME_SAMPLES * self.frame_count

    def frames(self) -> Iterator[VideoFrame]:
        while FRAME_SAMPLES * (self.frame_count + 1) <= self.sample_count:
            self.frame_count += 1
            rgb = np.zeros((2, 2, 3), np.uint8)
            yield VideoFrame(rgb=rgb, pts=self.frame_count - 1, fps=Fraction(25))


class CountingActor:
    """Opens one session, which the test looks at."""

    size = (2, 2)

    def __init__(self) -> None:
        self.engine_session = CountingSession()

    def session(self, fps: Fraction, seed: int) -> CountingSession:
        return self.engine_session


@pytest.fixture
def engine_session() -> CountingSession:
    return CountingSession()


def fail_inside(session: AvatarSession) -> None:
    with session:
        session.push(SECOND, 16_000)
        raise ValueError("the caller failed")


def test_leaving_a_session_keeps_the_end_of_the_sound() -> None:
    actor = CountingActor()
    with Avatar(actor).session(fps=25) as session:
        session.push(SECOND, 16_000)
        assert actor.engine_session.sample_count < 16_000  # the gain control looks ahead
    assert actor.engine_session.sample_count == 16_000
    assert actor.engine_session.flush_count == 1
    assert len(list(session.frames())) == 25


def test_flush_may_be_called_again(engine_session: CountingSession) -> None:
    with AvatarSession(engine_session) as session:
        session.push(SECOND, 16_000)
        session.flush()
        session.flush()
    assert engine_session.sample_count == 16_000
    assert engine_session.flush_count == 1


def test_sound_after_flush_is_refused(engine_session: CountingSession) -> None:
    session = AvatarSession(engine_session)
    session.flush()
    with pytest.raises(SessionClosed):
        session.push(SECOND[:0], 48_000)


def test_after_an_exception_nothing_more_is_rendered(engine_session: CountingSession) -> None:
    session = AvatarSession(engine_session)
    with pytest.raises(ValueError, match="the caller failed"):
        fail_inside(session)
    assert engine_session.flush_count == 0
    assert list(session.frames()) == []
    with pytest.raises(SessionClosed):
        session.push(SECOND, 16_000)


def test_an_interruption_drops_what_the_front_end_holds(engine_session: CountingSession) -> None:
    session = AvatarSession(engine_session)
    session.push(SECOND, 16_000)
    session.interrupt()
    session.flush()
    assert engine_session.sample_count == 0

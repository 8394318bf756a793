"""Sessions in threads of their own, on the clock of the machine. Nothing here asserts how fast."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from live.fakes import NO_MARKS, HearingActor, fail_at, read_number
from live.test_encoder import decode_sound
from liveavatar.frames import Samples
from liveavatar.live.messages import (
    LiveFrame,
    LiveMessage,
    MediaKind,
    MediaPacket,
    SegmentFinished,
    SegmentStarted,
    SessionEnded,
    SpeechCleared,
)
from liveavatar.live.runner import SessionRunner
from liveavatar.live.session import LiveOptions, LiveSession
from liveavatar.live.viewers import Viewer

PATIENCE = 60.0  # seconds; only a hang takes so long


def tone(hertz: float, seconds: float) -> Samples:
    time_s = np.arange(round(seconds * 48_000)) / 48_000
    return np.asarray(0.5 * np.sin(2 * np.pi * hertz * time_s), np.float32)


def take_until(viewer: Viewer, is_enough: Callable[[LiveMessage], bool]) -> list[LiveMessage]:
    messages: list[LiveMessage] = []
    limit = time.monotonic() + PATIENCE
    while not any(map(is_enough, messages)):
        assert time.monotonic() < limit
        messages += viewer.take_messages(0.2)
    return messages


def is_kind(kind: type) -> Callable[[LiveMessage], bool]:
    return lambda message: isinstance(message, kind)


def start(actor: HearingActor, viewer: Viewer) -> tuple[LiveSession, SessionRunner]:
    session = LiveSession(actor, LiveOptions(marks=NO_MARKS))
    session.add_viewer(viewer)
    runner = SessionRunner(session)
    runner.start()
    return session, runner


def test_sessions_never_hear_each_other() -> None:
    """Each speaks a tone of its own; what its viewer decodes holds that one alone."""
    pitches = (400.0, 1000.0, 2600.0)
    viewers = [Viewer() for _ in pitches]
    running = [start(HearingActor(size=(64, 64)), viewer) for viewer in viewers]

    def speak(session: LiveSession, hertz: float) -> None:
        segment = session.open_segment()
        for chunk in np.array_split(tone(hertz, 0.6), 7):
            segment.push(chunk, 48_000)
        segment.end()

    speakers = [
        threading.Thread(target=speak, args=(session, hertz))
        for (session, _), hertz in zip(running, pitches, strict=True)
    ]
    for speaker in speakers:
        speaker.start()
    for viewer, hertz in zip(viewers, pitches, strict=True):
        messages = take_until(viewer, is_kind(SegmentFinished))
        packets = [m for m in messages if isinstance(m, MediaPacket) and m.kind is MediaKind.SOUND]
        _, heard = decode_sound(packets)
        power = np.abs(np.fft.rfft(heard)) ** 2
        frequencies = np.fft.rfftfreq(len(heard), 1 / 48_000)
        assert abs(frequencies[power.argmax()] - hertz) < 20
        for other in set(pitches) - {hertz}:
            assert power[np.abs(frequencies - other) < 50].sum() < 1e-3 * power.sum()
    for thread in speakers:
        thread.join()
    for _, runner in running:
        runner.stop()
        assert not runner.is_running


@pytest.mark.parametrize("block_frames", [1, 4])
def test_a_session_speaks_is_interrupted_and_ends(block_frames: int) -> None:
    viewer = Viewer(wants_frames=True)
    session, runner = start(HearingActor(block_frames=block_frames), viewer)
    segment = session.open_segment()
    segment.push(tone(440, 20), 48_000)
    take_until(viewer, lambda m: isinstance(m, LiveFrame) and read_number(m.frame) > 0.1)
    session.interrupt()
    messages = take_until(viewer, lambda m: isinstance(m, LiveFrame) and m.generation == 1)
    cleared = next(i for i, message in enumerate(messages) if isinstance(message, SpeechCleared))
    after = [message for message in messages[cleared:] if isinstance(message, LiveFrame)]
    assert after
    assert not any(read_number(live.frame) for live in after)
    runner.stop()
    assert isinstance(viewer.take_messages()[-1], SessionEnded)
    assert not runner.is_running


@pytest.mark.parametrize("block_frames", [1, 4])
def test_an_engine_that_fails_ends_its_session_with_the_reason(block_frames: int) -> None:
    viewer = Viewer(wants_frames=True)
    session, runner = start(HearingActor(before_frame=fail_at(9), block_frames=block_frames), viewer)
    session.open_segment().push(tone(440, 5), 48_000)
    messages = take_until(viewer, is_kind(SessionEnded))
    assert messages[-1] == SessionEnded(reason="the card was lost; look at it")
    kinds = [type(message) for message in messages]
    assert kinds.count(SegmentStarted) == kinds.count(SegmentFinished) == 1
    runner.stop()
    assert not runner.is_running


def test_the_budget_says_where_time_went() -> None:
    viewer = Viewer()
    session, runner = start(HearingActor(size=(64, 64)), viewer)
    segment = session.open_segment()
    segment.push(tone(440, 0.5), 48_000)
    segment.end()
    take_until(viewer, is_kind(SegmentFinished))
    runner.stop()
    stages = {latency.stage.value: latency for latency in session.budget.summarise_stages()}
    assert list(stages) == ["queue", "lookahead", "draw", "encode", "publish", "late", "total"]
    assert stages["lookahead"].median_ms == 120
    assert stages["total"].median_ms >= stages["lookahead"].median_ms
    assert stages["total"].count == 1
    assert "the engine draws" in session.budget.format_table()

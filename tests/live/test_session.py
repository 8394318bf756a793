"""One timeline: sound of any chunking and pace, idling between, interruptions, and what was heard."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live.fakes import (
    EDGE_SAMPLES,
    HearingActor,
    Listener,
    Stage,
    fail_at,
    join_sound,
    read_number,
    take_frames,
)
from liveavatar.errors import AudioError, EngineError, OptionError, SessionClosed, SpeechQueueFull
from liveavatar.frames import Samples
from liveavatar.live.messages import (
    PLAYBACK_RATE,
    LiveEvent,
    LiveFrame,
    SegmentFinished,
    SegmentStarted,
    SessionEnded,
    SpeechCleared,
)
from liveavatar.live.session import LiveOptions, count_lead_frames

RATES = st.sampled_from([16_000, 22_050, 24_000, 44_100, 48_000])
ACTORS = st.sampled_from([(0, 1), (1680, 1), (3000, 12)])


def noise(seconds: float, rate: int, seed: int = 0) -> Samples:
    """Sound without a sample that is near zero, and with none on average."""
    random, count = np.random.default_rng(seed), round(seconds * rate)
    return np.asarray(random.uniform(0.05, 0.3, count) * random.choice([-1, 1], count), np.float32)


def level(number: int, seconds: float) -> Samples:
    """The sound of segment `number` as a `Listener` knows it, at 48 kHz."""
    return np.full(round(seconds * PLAYBACK_RATE), number / 100, np.float32)


@given(
    cuts=st.lists(st.integers(0, 30_000), max_size=8), rate=RATES, fps=st.sampled_from(["25", "30000/1001"])
)
@settings(max_examples=8)
def test_any_chunking_gives_the_same_sound_and_pictures(cuts: list[int], rate: int, fps: str) -> None:
    sound = noise(0.7, rate)

    def perform(chunks: list[Samples]) -> list[LiveFrame]:
        stage = Stage(fps=Fraction(fps))
        segment = stage.session.open_segment()
        for chunk in chunks:
            segment.push(chunk, rate)
        segment.end()
        return take_frames(stage.run_for(1.5))

    whole = perform([sound])
    pieces = perform(np.split(sound, sorted(cuts)))
    assert len(whole) == len(pieces) > 30
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one.sound, other.sound)
        np.testing.assert_array_equal(one.frame.rgb, other.frame.rgb)


@given(
    pace=st.lists(st.tuples(st.integers(1, 9600), st.integers(0, 300)), min_size=1, max_size=15),
    engine=ACTORS,
)
@settings(max_examples=12)
def test_speech_at_any_pace_is_heard_whole_and_in_order(
    pace: list[tuple[int, int]], engine: tuple[int, int]
) -> None:
    """Chunks of so many samples at 48 kHz, each after so many milliseconds."""
    stage = Stage(HearingActor(*engine))
    listener, origin = Listener(delay=0.0), stage.clock.now
    stage.run_for(0.2)
    segment = stage.session.open_segment()
    total = 0
    for count, pause in pace:
        segment.push(np.full(count, 0.01, np.float32), PLAYBACK_RATE)
        total += count
        listener.take(stage.run_for(pause / 1000), origin, stage.clock.now)
    segment.end()
    listener.take(stage.run_for(5), origin, stage.clock.now)
    finished = listener.finished[segment.number]
    assert not finished.interrupted
    assert abs(finished.heard - Fraction(total, PLAYBACK_RATE)) <= Fraction(1, 16_000)
    listener.play_until(stage.clock.now)
    seams = 0.006 * (len(pace) + 1)
    assert abs(listener.heard.get(1, 0) - total / PLAYBACK_RATE) <= seams


@given(rate=RATES, engine=ACTORS, fps=st.sampled_from(["25", "16", "30", "30000/1001"]))
@settings(max_examples=8)
def test_pictures_show_the_sound_that_is_heard_with_them(
    rate: int, engine: tuple[int, int], fps: str
) -> None:
    """Sound that is on in some frames and off in others: the picture of each frame knows."""
    stage = Stage(HearingActor(*engine), fps=Fraction(fps))
    pattern = np.random.default_rng(rate).random(25) < 0.5
    sound = np.repeat(pattern, round(rate / Fraction(fps))) * noise(
        len(pattern) * round(rate / Fraction(fps)) / rate, rate
    )
    stage.speak(sound.astype(np.float32), rate)
    frames = take_frames(stage.run_for(3))
    edge = 3 * EDGE_SAMPLES
    for live in frames:
        if np.abs(live.sound[edge:-edge]).max() > 0.04:
            assert read_number(live.frame) > 0.01
        if np.abs(live.sound).max() < 1e-4:
            assert read_number(live.frame) < 0.01
    assert sum(read_number(live.frame) > 0.01 for live in frames) >= pattern.sum()
    assert [live.frame.pts for live in frames] == list(range(len(frames)))


OPERATIONS = st.one_of(
    st.tuples(st.just("open"), st.just(0)),
    st.tuples(st.just("push"), st.integers(1, 1500)),
    st.tuples(st.just("end"), st.just(0)),
    st.tuples(st.just("interrupt"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 1500)),
)


@given(operations=st.lists(OPERATIONS, max_size=40), engine=ACTORS, delay=st.sampled_from([0.0, 0.08, 0.25]))
@settings(max_examples=60)
def test_segments_end_once_with_what_was_heard(
    operations: list[tuple[str, int]], engine: tuple[int, int], delay: float
) -> None:
    stage = Stage(HearingActor(*engine))
    listener, origin = Listener(delay=delay), stage.clock.now
    stage.session.set_playout_delay(delay)
    segments = [stage.session.open_segment()]
    ended: set[int] = set()
    for operation, milliseconds in operations:
        segment = segments[-1]
        if operation == "open":
            segments.append(stage.session.open_segment())
        elif operation == "push" and segment.number not in ended:
            segment.push(level(segment.number, milliseconds / 1000), PLAYBACK_RATE)
        elif operation == "end":
            segment.end()
            ended.add(segment.number)
        elif operation == "interrupt":
            stage.session.interrupt()
        listener.take(
            stage.run_for(milliseconds / 1000 if operation == "wait" else 0), origin, stage.clock.now
        )
        listener.play_until(stage.clock.now)
    stage.session.close()
    listener.take(stage.viewer.take_messages(), origin, stage.clock.now)
    listener.play_until(stage.clock.now)
    assert sorted(listener.finished) == sorted(listener.started) == [s.number for s in segments]
    for number, finished in listener.finished.items():
        assert abs(float(finished.heard) - listener.heard.get(number, 0)) < 0.040


def test_frames_say_how_much_of_their_sound_is_speech() -> None:
    stage = Stage()
    stage.speak(level(1, 0.33))
    counts = [live.speech_count for live in take_frames(stage.run_for(1)) if live.speech_count]
    assert counts == [1920] * 8 + [480]


def test_idling_is_silent_and_without_end() -> None:
    stage = Stage()
    messages = stage.run_for(10)
    assert len(take_frames(messages)) == 251
    assert not join_sound(messages).any()


def test_speech_starts_after_the_lookahead_and_at_most_a_frame() -> None:
    stage = Stage()
    stage.run_for(1.013)
    pushed = stage.clock.now
    stage.speak(noise(1, PLAYBACK_RATE))
    first = next(live for live in take_frames(stage.run_for(1)) if live.sound.any())
    latency = 100 + float(first.time) - pushed
    assert 1680 / 16_000 <= latency <= float(stage.session.lead_seconds) + 0.04
    assert float(stage.session.lead_seconds) == 0.12


def test_an_interruption_shuts_the_mouth_with_the_next_frame() -> None:
    stage = Stage()
    stage.speak(noise(5, PLAYBACK_RATE))
    stage.run_for(2)
    stage.session.interrupt()
    messages = stage.run_for(1)
    assert isinstance(messages[0], SpeechCleared)
    assert isinstance(messages[1], SegmentFinished)
    assert messages[1].interrupted
    frames = take_frames(messages)
    assert frames[0].sound[:200].any()  # it falls within 5 ms
    assert not np.concatenate([frames[0].sound[240:], *(live.sound for live in frames[1:])]).any()
    assert not any(read_number(live.frame) for live in frames)
    assert frames[0].generation == 1
    assert frames[0].time == messages[0].time


def test_what_comes_for_an_interrupted_segment_is_dropped() -> None:
    stage = Stage()
    segment = stage.session.open_segment()
    assert segment.push(noise(1, PLAYBACK_RATE), PLAYBACK_RATE)
    stage.run_for(0.5)
    stage.session.interrupt()
    assert not segment.push(noise(1, PLAYBACK_RATE), PLAYBACK_RATE)
    stage.run_for(0.1)
    assert not join_sound(stage.run_for(2)).any()


def test_an_interruption_while_a_frame_is_drawn_drops_that_frame() -> None:
    actor = HearingActor()
    stage = Stage(actor)
    stage.speak(noise(3, PLAYBACK_RATE))
    stage.run_for(1)
    number = take_frames(stage.run_for(0.04))[-1].frame.pts
    session = stage.session.drawer._session._session  # type: ignore[attr-defined]

    def interrupt_once(_frame: int) -> None:
        session._before_frame = lambda _number: None
        stage.session.interrupt()

    session._before_frame = interrupt_once
    messages = stage.run_for(0.2)
    assert isinstance(messages[0], SpeechCleared)
    frames = take_frames(messages)
    assert [live.frame.pts for live in frames] == list(range(number + 1, number + 1 + len(frames)))
    assert all(live.generation == 1 and not read_number(live.frame) for live in frames)


def test_a_late_stream_is_postponed_as_a_whole() -> None:
    stage = Stage()
    stage.speak(level(1, 2))
    before = stage.run_for(1)
    stage.clock.now += 3  # the machine slept
    after = stage.run_for(3)
    frames = take_frames(before + after)
    assert [live.frame.pts for live in frames] == list(range(len(frames)))
    assert stage.session.postponed_seconds == pytest.approx(3, abs=0.05)
    finished = [message for message in after if isinstance(message, SegmentFinished)]
    assert finished == [SegmentFinished(segment=1, heard=Fraction(2), interrupted=False)]


def test_segments_follow_each_other_in_order() -> None:
    stage = Stage()
    for number in (1, 2, 3):
        stage.speak(level(number, 0.33))
    events = [message for message in stage.run_for(3) if isinstance(message, LiveEvent)]
    assert [(type(event), event.segment) for event in events] == [  # type: ignore[union-attr]
        (kind, number) for number in (1, 2, 3) for kind in (SegmentStarted, SegmentFinished)
    ]


def test_too_much_waiting_speech_is_refused_and_nothing_lost() -> None:
    stage = Stage()
    segment = stage.session.open_segment()
    segment.push(level(1, 40), PLAYBACK_RATE)
    with pytest.raises(SpeechQueueFull, match="send it in pieces"):
        segment.push(level(1, 21), PLAYBACK_RATE)
    stage.run_for(2)
    segment.push(level(1, 21), PLAYBACK_RATE)
    assert stage.session.queued_seconds == pytest.approx(59, abs=0.3)


def test_unusable_sound_is_refused_when_it_is_pushed() -> None:
    segment = Stage().session.open_segment()
    with pytest.raises(AudioError):
        segment.push(np.zeros(10, np.int32), 16_000)
    segment.end()
    with pytest.raises(SessionClosed):
        segment.push(np.zeros(10, np.float32), 16_000)


def test_a_failing_engine_fails_only_its_session() -> None:
    broken, whole = Stage(HearingActor(before_frame=fail_at(30))), Stage()
    broken.speak(level(1, 5))
    with pytest.raises(EngineError):
        broken.run_for(3)
    broken.session.close("the card was lost")
    messages = broken.viewer.take_messages()
    assert isinstance(messages[-2], SegmentFinished)
    assert messages[-1] == SessionEnded(reason="the card was lost")
    assert broken.viewer.is_ended
    assert take_frames(whole.run_for(2))
    with pytest.raises(SessionClosed):
        broken.session.open_segment()


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(OptionError, match="positive"):
        LiveOptions(max_queued_seconds=0)
    with pytest.raises(OptionError):
        LiveOptions(fps=Fraction(500))
    with pytest.raises(OptionError, match="whole recordings"):
        count_lead_frames(2**60, 1, Fraction(25))


@pytest.mark.slow
def test_an_hour_takes_no_memory_and_stays_in_step() -> None:
    stage = Stage(fps=Fraction(10))
    random = np.random.default_rng(3)

    def perform(minutes: int) -> None:
        for _ in range(minutes):
            seed, frame_count = random.integers(1, 20, 2).tolist()
            stage.speak(noise(frame_count / 10, PLAYBACK_RATE, seed))
            for live in take_frames(stage.run_for(55)):
                heard = live.sound[3 * EDGE_SAMPLES : -3 * EDGE_SAMPLES]
                assert bool(heard.any()) == (read_number(live.frame) > 0.01)
            if random.random() < 0.3:
                stage.session.interrupt()
            stage.run_for(5)

    perform(2)
    tracemalloc.start()
    perform(1)
    size = tracemalloc.get_traced_memory()[0]
    perform(1)
    assert tracemalloc.get_traced_memory()[0] < size + 100_000
    tracemalloc.stop()
    perform(56)
    frames = take_frames(stage.run_for(1))
    assert 100 + float(frames[-1].time) + stage.session.postponed_seconds == pytest.approx(
        stage.clock.now, abs=0.11
    )

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.speed import SpeedOptions
from liveavatar.dit.session import DitActor, DitEngine, DitSession
from liveavatar.errors import OptionError, SessionClosed
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples, VideoFrame
from liveavatar.timeline import Timeline

FPS = Fraction(25)
FRAME_SAMPLES = 640  # samples


@pytest.fixture(scope="module")
def engine() -> DitEngine:
    return DitEngine(DitOptions(preset="tiny", sample_steps=2))


@pytest.fixture(scope="module")
def actor(engine: DitEngine, portrait: Portrait) -> DitActor:
    opened = engine.open(portrait, (64, 64))
    assert isinstance(opened, DitActor)
    return opened


def speech(samples: int, seed: int = 0) -> Samples:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples, np.float32)


def take_frames(session: DitSession, count: int | None = None) -> list[VideoFrame]:
    frames: Iterator[VideoFrame] = session.frames()
    return list(frames) if count is None else [next(frames) for _ in range(count)]


def speak(session: DitSession, sound: Samples) -> list[VideoFrame]:
    session.push(sound)
    session.flush()
    return take_frames(session)


def equal(first: list[VideoFrame], second: list[VideoFrame]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(a.pts == b.pts and np.array_equal(a.rgb, b.rgb) for a, b in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("fps", [16, 24, 25, 30, Fraction(30_000, 1001)])
def test_frames_cover_the_sound_at_any_rate(actor: DitActor, fps: Fraction | int) -> None:
    rate = Fraction(fps)
    frames = speak(actor.session(rate, 0), speech(11_000))
    assert [frame.pts for frame in frames] == list(range(Timeline(fps=rate).frame_count(11_000)))
    assert all(frame.fps == rate for frame in frames)
    assert {frame.rgb.shape for frame in frames} == {(64, 64, 3)}


@pytest.mark.slow
def test_a_recording_has_more_look_ahead(engine: DitEngine, portrait: Portrait) -> None:
    recorded = DitEngine(DitOptions(preset="tiny", sample_steps=1, live=False)).open(portrait, (64, 64))
    session = recorded.session(FPS, 0)
    session.push(speech(14 * FRAME_SAMPLES))
    assert not list(session.frames())
    session.flush()
    assert len(list(session.frames())) == 14
    live = DitEngine(DitOptions(preset="tiny", sample_steps=1)).open(portrait, (64, 64))
    assert session.lookahead > 10 * live.session(FPS, 0).lookahead


@pytest.mark.parametrize("length", [0, 1, FRAME_SAMPLES, 12 * FRAME_SAMPLES, 12 * FRAME_SAMPLES + 1])
def test_sound_of_any_length_works(actor: DitActor, length: int) -> None:
    assert len(speak(actor.session(FPS, 0), speech(length))) == -(-length // FRAME_SAMPLES)


@pytest.mark.slow
@given(cuts=st.lists(st.integers(0, 13_000), max_size=4))
@settings(max_examples=3, deadline=None)
def test_sound_in_pieces_gives_the_same_frames(actor: DitActor, cuts: list[int]) -> None:
    sound = speech(13_000)
    whole = speak(actor.session(FPS, 3), sound)
    session = actor.session(FPS, 3)
    frames = []
    for piece in np.split(sound, sorted(cuts)):
        session.push(piece)
        frames += take_frames(session)
    session.flush()
    assert equal(whole, frames + take_frames(session))


@pytest.mark.slow
def test_another_seed_gives_other_frames_and_sessions_do_not_mix(actor: DitActor) -> None:
    sound = speech(16_000)
    alone = speak(actor.session(FPS, 1), sound)
    first, second = actor.session(FPS, 1), actor.session(FPS, 2)
    pieces: tuple[list[VideoFrame], list[VideoFrame]] = ([], [])
    for session in (first, second):
        session.push(sound)
        session.flush()
    for frames, others in zip(first.frames(), second.frames(), strict=True):
        pieces[0].append(frames)
        pieces[1].append(others)
    assert equal(alone, pieces[0])
    assert not equal(alone, pieces[1])


@pytest.mark.parametrize("fps", [16, 25, 30])
def test_a_block_comes_as_soon_as_the_look_ahead_allows(actor: DitActor, fps: int) -> None:
    session = actor.session(Fraction(fps), 0)
    first_end = Timeline(fps=Fraction(fps)).frame_start(1)
    session.push(speech(session.lookahead + first_end))
    assert take_frames(session, 1)[0].pts == 0


def test_a_block_needs_little_look_ahead(actor: DitActor) -> None:
    session = actor.session(FPS, 0)
    session.push(speech(12 * FRAME_SAMPLES))
    assert not take_frames(session)
    session.push(speech(4_000))
    assert len(take_frames(session)) == 12


def test_the_first_three_pictures_show_the_fourth(actor: DitActor) -> None:
    frames = speak(actor.session(FPS, 0), speech(12 * FRAME_SAMPLES))
    assert all(np.array_equal(frames[i].rgb, frames[3].rgb) for i in range(3))
    assert not np.array_equal(frames[4].rgb, frames[3].rgb)


@pytest.mark.slow
def test_an_interruption_within_a_block_continues_with_the_next_frame(actor: DitActor) -> None:
    session = actor.session(FPS, 0)
    session.push(speech(40_000))
    before = take_frames(session, 17)
    session.interrupt()
    assert not take_frames(session)
    after = speak(session, speech(10 * FRAME_SAMPLES, seed=5))
    assert [frame.pts for frame in before + after] == list(range(27))
    uninterrupted = speak(actor.session(FPS, 0), speech(40_000))
    assert equal(before, uninterrupted[:17])
    assert not equal(after, uninterrupted[17:27])


def test_an_interruption_stops_the_block_that_is_being_drawn(actor: DitActor) -> None:
    session = actor.session(FPS, 0)
    steps: list[object] = []

    def interrupt_after_one(module: object, *_: object) -> None:
        steps.append(module)
        if len(steps) == 1:
            session.interrupt()

    hook = actor.models.dit.register_forward_hook(interrupt_after_one)
    session.push(speech(20_000))
    assert not take_frames(session)
    hook.remove()
    assert len(steps) == 1
    assert [frame.pts for frame in speak(session, speech(9_000))] == list(range(15))


@pytest.mark.slow
def test_interruptions_at_any_rate_keep_the_clock(actor: DitActor) -> None:
    for fps in (Fraction(16), Fraction(30_000, 1001)):
        session = actor.session(fps, 0)
        timeline = Timeline(fps=fps)
        session.push(speech(30_000))
        take_frames(session, 13)
        session.interrupt()
        frames = speak(session, speech(8_000))
        end = timeline.frame_count(timeline.frame_start(13) + 8_000)
        assert [frame.pts for frame in frames] == list(range(13, end))


def test_an_interruption_after_flush_ends_the_session(actor: DitActor) -> None:
    session = actor.session(FPS, 0)
    session.push(speech(20_000))
    session.flush()
    take_frames(session, 2)
    session.interrupt()
    assert not take_frames(session)


def test_an_interruption_without_new_sound_adds_nothing(actor: DitActor) -> None:
    session = actor.session(Fraction(30_000, 1001), 0)
    session.push(speech(20_000))
    take_frames(session, 1)
    session.interrupt()
    session.flush()
    assert not take_frames(session)


def test_push_after_flush_is_refused(actor: DitActor) -> None:
    session = actor.session(FPS, 0)
    session.flush()
    session.flush()
    with pytest.raises(SessionClosed):
        session.push(speech(1))


@pytest.mark.slow
def test_a_size_that_follows_the_portrait_has_whole_patches(engine: DitEngine, portrait: Portrait) -> None:
    assert engine.open(portrait, None).size == (128, 128)


@pytest.mark.slow
def test_frames_are_cropped_to_a_size_that_is_not_of_whole_patches(
    engine: DitEngine, portrait: Portrait
) -> None:
    actor = engine.open(portrait, (50, 66))
    assert actor.size == (50, 66)
    session = actor.session(FPS, 0)
    session.push(speech(FRAME_SAMPLES))
    session.flush()
    assert next(session.frames()).rgb.shape == (66, 50, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"sample_steps": 1, "infer_frames": 12}, {"sample_steps": 3, "infer_frames": 24}]
)
def test_other_steps_and_clips_run(portrait: Portrait, options: dict[str, int]) -> None:
    engine = DitEngine(DitOptions(preset="tiny", **options))  # type: ignore[arg-type]
    session = engine.open(portrait, (64, 64)).session(FPS, 0)
    session.push(speech(30 * FRAME_SAMPLES))
    session.flush()
    assert len(list(session.frames())) == 30


@pytest.mark.parametrize(
    "wrong",
    [{"sample_steps": 0}, {"infer_frames": 80}, {"infer_frames": 0}, {"preset": "huge"}, {"prompt": " "}],
)
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        DitOptions(**wrong)  # type: ignore[arg-type]


OpenActor = Callable[[SpeedOptions, bool], DitActor]


@pytest.fixture(scope="module")
def open_actor(portrait: Portrait) -> OpenActor:
    """Opens one portrait with these speed options, for a live session or a recording."""

    @cache
    def at(speed: SpeedOptions, live: bool) -> DitActor:
        options = DitOptions(preset="tiny", sample_steps=2, infer_frames=24, live=live, speed=speed)
        actor = DitEngine(options).open(portrait, (64, 64))
        assert isinstance(actor, DitActor)
        return actor

    return at


PLAIN, AHEAD, WAVE = SpeedOptions(), SpeedOptions(vae_stream=True), SpeedOptions(wavefront=True)


def nearly_equal(first: list[VideoFrame], second: list[VideoFrame]) -> bool:
    """Equal but for rounding."""
    pairs = zip(first, second, strict=True)
    return all(a.pts == b.pts and np.abs(a.rgb.astype(int) - b.rgb).max() <= 1 for a, b in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("speed", [AHEAD, WAVE], ids=["ahead", "wavefront"])
@pytest.mark.parametrize("length", [3, 50])
def test_drawing_ahead_and_the_wavefront_give_the_same_frames(
    open_actor: OpenActor, speed: SpeedOptions, length: int
) -> None:
    sound = speech(length * FRAME_SAMPLES)
    frames = speak(open_actor(speed, False).session(FPS, 0), sound)
    assert len(frames) == length
    assert nearly_equal(frames, speak(open_actor(PLAIN, False).session(FPS, 0), sound))


@pytest.mark.slow
def test_a_block_begun_ahead_is_undone_by_an_interruption(open_actor: OpenActor) -> None:
    videos = []
    for speed in (PLAIN, AHEAD):
        session = open_actor(speed, True).session(FPS, 0)
        session.push(speech(60 * FRAME_SAMPLES))
        before = take_frames(session, 41)
        session.interrupt()
        videos.append(before + speak(session, speech(20 * FRAME_SAMPLES, seed=5)))
    assert equal(*videos)


def test_the_wavefront_can_be_interrupted(open_actor: OpenActor) -> None:
    session = open_actor(WAVE, False).session(FPS, 0)
    session.push(speech(400 * FRAME_SAMPLES))
    take_frames(session, 17)
    session.interrupt()
    assert [frame.pts for frame in speak(session, speech(10 * FRAME_SAMPLES, seed=5))] == list(range(17, 27))


def test_the_wavefronts_lookahead_is_longer(open_actor: OpenActor) -> None:
    plain, wave = (open_actor(speed, False).session(FPS, 0) for speed in (PLAIN, WAVE))
    assert wave.lookahead - plain.lookahead == 12 * FRAME_SAMPLES


@pytest.mark.parametrize("wrong", [{"live": True}, {"live": False, "infer_frames": 24}])
def test_the_wavefront_is_for_recordings_and_whole_clips(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="wavefront"):
        DitOptions(speed=SpeedOptions(wavefront=True), **wrong)  # type: ignore[arg-type]

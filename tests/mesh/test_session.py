"""The session: streaming equals offline, frames follow the timeline, lips follow speech."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveavatar.errors import OptionError, SessionClosed
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture, Samples
from liveavatar.mesh.expression import (
    RESTING_ARTICULATION,
    SHAPE_TO_ARKIT,
    MouthArticulation,
    build_expression,
)
from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.boxes import slice_box
from liveavatar.mesh.motion.head_pose import RESTING_POSE, HeadPoseGenerator
from liveavatar.mesh.render.face_renderer import FaceRenderer, FrameExpression
from liveavatar.mesh.session import (
    LIP_LAG_SAMPLES,
    LIP_PARTING_SECONDS,
    MeshActor,
    MeshEngine,
    MeshSession,
    resample_speech,
)
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, VISEMES, SpeechTrack
from liveavatar.timeline import Timeline

FPS = Fraction(25)
REST_POSE = RESTING_POSE


@pytest.fixture(scope="module")
def actor(portrait: Portrait) -> MeshActor:
    return MeshEngine().open(portrait, None)


def speak(actor: MeshActor, chunks: Iterable[Samples], fps: Fraction = FPS, seed: int = 0) -> list[Picture]:
    session = actor.session(fps, seed)
    pictures = []
    for chunk in chunks:
        session.push(chunk)
        pictures += [frame.rgb for frame in session.frames()]
    session.flush()
    return pictures + [frame.rgb for frame in session.frames()]


def portrait_expression(weight: float = 0.0) -> FrameExpression:
    nothing = as_float32(np.zeros(len(SHAPE_TO_ARKIT) + 1))
    return FrameExpression(
        shapes=nothing, head=as_float32([weight] * 6), blink=(0, 0), gaze=(0.0, 0.0), jaw=0, tongue=0
    )


def mouth_opening_area(renderer: FaceRenderer, articulation: MouthArticulation) -> float:
    """Area between the lips, in squares of the interocular unit."""
    maps = renderer._build_maps(build_expression(articulation, REST_POSE))
    upper, lower = renderer.lips.side_opacities(
        maps.face_positions(maps.upper, renderer.mouth_box),
        maps.face_positions(maps.lower, renderer.mouth_box),
    )
    return float(((1 - upper) * (1 - lower)).sum()) / renderer.unit**2


@pytest.mark.parametrize("jaw", [0.0, 0.4, 1.0])
def test_blinks_are_complete_whatever_the_mouth_does(jaw: float) -> None:
    asleep = replace(REST_POSE, blink_left=1.0, blink_right=0.9)
    assert build_expression(replace(RESTING_ARTICULATION, jaw=jaw), asleep).blink == (0.9, 1.0)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 7000), min_size=1, max_size=8))
def test_streaming_equals_offline(actor: MeshActor, babble: Samples, cuts: list[int]) -> None:
    sound = babble[:9600]
    edges = [0, *(min(edge, len(sound)) for edge in np.cumsum(cuts).tolist()), len(sound)]
    chunks = [sound[a:b] for a, b in pairwise(edges)]
    streamed, whole = speak(actor, chunks), speak(actor, [sound])
    assert len(streamed) == len(whole) == 15
    assert all(np.array_equal(a, b) for a, b in zip(streamed, whole, strict=True))


def test_streaming_equals_offline_in_blinks(actor: MeshActor, babble: Samples) -> None:
    """Four seconds at 10 fps."""
    sound = np.concatenate([babble, babble])
    blinks = blink_track(HeadPoseGenerator(Fraction(10), 11, actor.motion), 30)
    assert max(blinks) > 0.5
    streamed, whole = (speak(actor, chunks, Fraction(10), 11) for chunks in (np.split(sound, 8), [sound]))
    assert all(np.array_equal(a, b) for a, b in zip(streamed, whole, strict=True))


@pytest.mark.parametrize("fps", [Fraction(16), Fraction(25), Fraction(30_000, 1001), Fraction(60)])
@pytest.mark.parametrize("samples", [1, 159, 161, 4000, 4001])
def test_frame_count_follows_the_timeline(actor: MeshActor, fps: Fraction, samples: int) -> None:
    frames = speak(actor, [np.zeros(samples, np.float32)], fps)
    assert len(frames) == Timeline(fps=fps).frame_count(samples)


def test_no_sound_no_frames(actor: MeshActor) -> None:
    assert speak(actor, []) == []


def test_a_frame_needs_the_declared_lookahead_and_at_most_a_step_more(actor: MeshActor) -> None:
    session = actor.session(FPS, 0)
    session.push(np.zeros(640 + session.lookahead - STEP_SAMPLES, np.float32))
    assert list(session.frames()) == []
    session.push(np.zeros(2 * STEP_SAMPLES, np.float32))
    assert [frame.pts for frame in session.frames()] == [0]


def test_later_sound_never_changes_a_frame(actor: MeshActor, babble: Samples) -> None:
    session = actor.session(FPS, 0)
    session.push(babble[:8000])
    early = [frame.rgb for frame in session.frames()]
    whole = speak(actor, [babble[:16_000]])
    assert len(early) > 5
    assert all(np.array_equal(a, b) for a, b in zip(early, whole, strict=False))


def test_equal_seeds_give_equal_frames_and_different_seeds_different_motion(
    actor: MeshActor, babble: Samples
) -> None:
    sound = babble[:16_000]
    first, again, other = (speak(actor, [sound], seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_flushed_session_refuses_sound(actor: MeshActor) -> None:
    session = actor.session(FPS, 0)
    session.flush()
    with pytest.raises(SessionClosed, match="open a new one"):
        session.push(np.zeros(10, np.float32))


def test_interrupt_drops_sound_without_frames(actor: MeshActor, babble: Samples) -> None:
    session = actor.session(FPS, 0)
    session.push(babble[:16_000])
    shown = [next(session.frames()).pts, next(session.frames()).pts]
    session.interrupt()
    session.push(np.zeros(3200, np.float32))
    session.flush()
    assert shown + [frame.pts for frame in session.frames()] == list(range(7))


@settings(max_examples=5)
@given(st.integers(2300, 7000), st.integers(1, 300))
def test_interrupt_works_within_a_frame_and_within_a_block(
    actor: MeshActor, babble: Samples, heard: int, spare: int
) -> None:
    """Frame numbers continue, and the new sound is analysed as in a new session."""
    session = actor.session(FPS, 0)
    session.push(babble[:heard])
    shown = len(list(session.frames()))
    session.interrupt()
    after = babble[16_000 : 20_800 + spare]
    session.push(after)
    session.flush()
    origin = Timeline(fps=FPS).frame_start(shown)
    jaws = []
    while (speech := session._take_frame_speech()) is not None:
        session._next_frame += 1
        jaws.append(MouthArticulation.from_speech(speech).jaw)
    assert shown + len(jaws) == Timeline(fps=FPS).frame_count(origin + len(after))
    assert jaws == jaw_by_frame(actor, after, FPS)[1]


@pytest.mark.parametrize("milliseconds", [10, 20, 100, 1000])
def test_chunks_of_usual_sizes_give_equal_frames(
    actor: MeshActor, babble: Samples, milliseconds: int
) -> None:
    sound, size = babble[:17_000], 16 * milliseconds
    pieces = speak(actor, [sound[at : at + size] for at in range(0, len(sound), size)])
    whole = speak(actor, [sound])
    assert len(pieces) == len(whole)
    assert all(np.array_equal(a, b) for a, b in zip(pieces, whole, strict=True))


def session_bytes(session: MeshSession) -> int:
    """Bytes of all arrays of a session that could grow."""
    (run,) = session._pending_runs
    rows = sum(getattr(run, field.name).nbytes for field in fields(run) if field.name != "start")
    return int(rows + session._speech_stream._sound.nbytes + session._speech_stream._levels.nbytes)


def test_memory_does_not_grow_with_time(actor: MeshActor, babble: Samples) -> None:
    session, sizes = actor.session(FPS, 0), []
    for second in range(12):
        session.push(babble[:16_000] if second % 2 else np.zeros(16_000, np.float32))
        while session._take_frame_speech() is not None:
            session._next_frame += 1
        sizes.append(session_bytes(session))
    assert max(sizes[6:]) <= max(sizes[:6])
    assert len(session._pending_runs[0]) < 10


def blink_track(motion: HeadPoseGenerator, frames: int) -> list[float]:
    return [motion.next_pose(0, 0, 0, 0).blink_left for _ in range(frames)]


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(60)])
def test_no_video_begins_or_ends_in_a_blink(actor: MeshActor, fps: Fraction) -> None:
    """If the sound ends at any frame of a blink, the eyes are open in the last frame and closed only in the blink."""
    blinks = blink_track(HeadPoseGenerator(fps, 3), 30 * fps.numerator)
    shut = int(np.argmax(blinks))
    assert blinks[shut] > 0.95
    for last in range(shut - 4, shut + 8):
        session = actor.session(fps, 3)
        session._flushed_at = Timeline(fps=fps).frame_start(last) + 1
        poses = [replace(REST_POSE, blink_left=blink, blink_right=blink) for blink in blinks[: last + 1]]
        opened = [session._open_eyes_at_end(pose, number).blink_left for number, pose in enumerate(poses)]
        assert opened[0] == opened[-1] == 0
        assert all(after <= before for after, before in zip(opened, blinks, strict=False))
        assert opened[: last - 7] == blinks[: last - 7]


def test_at_rest_the_frame_is_the_portrait(portrait: Portrait, actor: MeshActor) -> None:
    frame = actor.renderer.render(portrait_expression())
    assert np.abs(frame.astype(int) - portrait.rgb).max() <= 1


def test_the_background_does_not_move(portrait: Portrait, actor: MeshActor) -> None:
    frame = actor.renderer.render(portrait_expression(0.03))
    far = portrait.matte < 3
    far &= ~(np.asarray(dilate_mask(portrait.matte > 30)))
    assert far.mean() > 0.2
    assert np.abs(frame.astype(int) - portrait.rgb)[far].max() <= 1


def dilate_mask(
    mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    import cv2

    return np.asarray(cv2.dilate(np.asarray(mask, np.uint8), np.ones((15, 15), np.uint8)) > 0)


def test_vowels_open_the_mouth_and_closures_close_it(actor: MeshActor) -> None:
    renderer = actor.renderer
    vowel = replace(RESTING_ARTICULATION, jaw=1.0)
    assert mouth_opening_area(renderer, RESTING_ARTICULATION) < 0.001
    assert mouth_opening_area(renderer, vowel) > 0.04
    assert mouth_opening_area(renderer, replace(vowel, closure=1.0)) < 0.1 * mouth_opening_area(
        renderer, vowel
    )


def test_the_mouth_opens_with_the_jaw(actor: MeshActor) -> None:
    widths = [
        mouth_opening_area(actor.renderer, replace(RESTING_ARTICULATION, jaw=jaw))
        for jaw in (0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    assert widths == sorted(widths)


def closure_track(closure: Sequence[float], start: int = 0) -> SpeechTrack:
    """Steps of an open vowel with the given closure of the lips."""
    count = len(closure)
    controls = np.zeros((count, len(CONTROLS)), np.float32)
    controls[:, CONTROLS.index("jaw")] = 0.6
    controls[:, CONTROLS.index("closure")] = closure
    flat = np.zeros(count, np.float32)
    return SpeechTrack(
        start=start, visemes=np.zeros((count, len(VISEMES)), np.float32), controls=controls,
        energy=flat, pitch=flat, emphasis=flat, speaking=flat,
    )  # fmt: skip


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
@given(st.integers(0, 400))
def test_a_bilabial_of_60_ms_closes_the_lips_at_every_frame_rate(fps: int, phase: int) -> None:
    """At every phase of the frames: the closure is not averaged away."""
    speech = closure_track([0.0] * 30 + [1.0] * 6 + [0.0] * 30)
    spans = (
        Timeline(fps=Fraction(fps)).frame_span(index) for index in range(round(0.15 * fps), round(0.5 * fps))
    )
    closures = [
        MouthArticulation.from_speech(resample_speech(speech, a + phase, b + phase)).closure for a, b in spans
    ]
    assert max(closures) > 0.99
    assert closures[0] == closures[-1] == 0


@given(st.integers(0, 2000), st.sampled_from([16, 24, 25, 30, 50, 60]))
def test_speech_is_sampled_at_the_middle_of_a_frame(start: int, fps: int) -> None:
    """A control that rises linearly has its value at the middle of the frame, at any frame rate and phase."""
    rise = closure_track(list(np.arange(80) / 100))
    end = start + 16_000 // fps
    middle = (start + end) / 2 / STEP_SAMPLES - 0.5
    first, last = start // STEP_SAMPLES, -(-end // STEP_SAMPLES)
    found = resample_speech(rise.slice_steps(max(0, first - 1), last + 1), start, end)
    assert found.controls[:, CONTROLS.index("closure")].mean() == pytest.approx(middle / 100, abs=2e-3)


def test_lips_lag_behind_the_sound(actor: MeshActor) -> None:
    """Frame i shows the speech around its middle, LIP_LAG_SAMPLES earlier."""
    session = actor.session(FPS, 0)
    session._pending_runs = [closure_track(list(np.arange(60) / 100))]
    session._received_until = 60 * STEP_SAMPLES
    taken = []
    while (speech := session._take_frame_speech()) is not None:
        session._next_frame += 1
        taken.append(float(speech.controls[:, CONTROLS.index("closure")].mean()))
    expected = [
        ((640 * index + 320 - LIP_LAG_SAMPLES) / STEP_SAMPLES - 0.5) / 100 for index in range(len(taken))
    ]
    assert len(taken) >= 14
    assert taken[1:] == pytest.approx(expected[1:], abs=2e-3)


@pytest.mark.parametrize("fps", [25, 30, 50, 60])
def test_lips_close_at_once_and_part_within_100_ms(actor: MeshActor, fps: int) -> None:
    session = actor.session(Fraction(fps), 0)
    closures = [0.0] * fps + [1.0] + [0.0] * fps
    shown = [
        session._ease_articulation(replace(RESTING_ARTICULATION, closure=closure)).closure
        for closure in closures
    ]
    assert shown[: fps + 1] == closures[: fps + 1]
    after = shown[fps + 1 :]
    assert after == sorted(after, reverse=True)
    expected = [max(0.0, 1 - (index + 1) / (LIP_PARTING_SECONDS * fps)) for index in range(fps)]
    assert after == pytest.approx(expected, abs=1e-9)
    assert after[0] > 0


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.sampled_from([25, 60]))
def test_the_bite_changes_within_100_ms(actor: MeshActor, bites: list[float], fps: int) -> None:
    session = actor.session(Fraction(fps), 0)
    shown = [session._ease_articulation(replace(RESTING_ARTICULATION, bite=bite)).bite for bite in bites]
    assert np.abs(np.diff(shown, prepend=0)).max() <= 1 / (LIP_PARTING_SECONDS * fps) + 1e-9
    session_bytes = [
        session._ease_articulation(replace(RESTING_ARTICULATION, bite=bites[-1])).bite for _ in range(fps)
    ]
    assert session_bytes[-1] == pytest.approx(bites[-1])


def jaw_by_frame(actor: MeshActor, sound: Samples, fps: Fraction) -> tuple[list[float], list[float]]:
    """Middles of the frames in seconds, and the jaw in each frame."""
    session = actor.session(fps, 0)
    session.push(sound)
    session.flush()
    jaws = []
    while (speech := session._take_frame_speech()) is not None:
        session._next_frame += 1
        jaws.append(MouthArticulation.from_speech(speech).jaw)
    return [(index + 0.5) / float(fps) for index in range(len(jaws))], jaws


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30), Fraction(30_000, 1001)])
def test_the_jaw_moves_equally_at_every_frame_rate(actor: MeshActor, babble: Samples, fps: Fraction) -> None:
    fine, coarse = (jaw_by_frame(actor, babble, rate) for rate in (Fraction(60), fps))
    expected = np.interp(coarse[0], *fine)
    assert max(fine[1]) > 0.2
    assert np.abs(expected - coarse[1]).max() < 0.12
    assert np.abs(expected - coarse[1]).mean() < 0.02


def test_the_mouth_is_closed_in_silence(actor: MeshActor) -> None:
    session = actor.session(FPS, 0)
    session.push(np.zeros(16_000, np.float32))
    session.flush()
    while (speech := session._take_frame_speech()) is not None:
        session._next_frame += 1
        assert mouth_opening_area(actor.renderer, MouthArticulation.from_speech(speech)) < 0.001


def test_motion_and_expression_of_zero_reproduce_the_portrait(portrait: Portrait, babble: Samples) -> None:
    quiet = MeshEngine(motion=0, expression=0).open(portrait, None)
    swelling = babble[:16_000] * np.linspace(0, 1, 16_000, dtype=np.float32) ** 2
    for picture in speak(quiet, [swelling])[:8]:  # later onsets are abrupt and may be recognised as /b/
        still = np.abs(picture.astype(int) - portrait.rgb)
        assert np.quantile(still, 0.99) <= 2  # the first onset counts as a closure by half
    assert (
        mouth_opening_area(quiet.renderer, replace(RESTING_ARTICULATION, jaw=1.0).scale_except_closure(0))
        < 0.001
    )


def test_expression_scales_the_opening_of_the_mouth(actor: MeshActor) -> None:
    vowel = replace(RESTING_ARTICULATION, jaw=1.0, spread=0.3)
    widths = [
        mouth_opening_area(actor.renderer, vowel.scale_except_closure(amount))
        for amount in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert widths == sorted(widths)
    assert widths[0] < 0.1 * widths[-1]


def test_motion_scales_the_turns_of_the_head(portrait: Portrait, babble: Samples) -> None:
    """Same seed, same turns, each in proportion."""
    turns = []
    for amount in (0.0, 0.3, 0.6, 1.0):
        motion = HeadPoseGenerator(FPS, 5, amount)
        poses = [motion.next_pose(0.6, 1.0, 0.2, 1.0) for _ in range(400)]
        turns.append(float(np.abs([[pose.yaw, pose.pitch, pose.roll, pose.gaze_x] for pose in poses]).sum()))
    assert turns == sorted(turns)
    assert turns[0] == 0
    assert turns[1] == pytest.approx(0.3 * turns[3], rel=0.1)


@pytest.mark.parametrize("options", [{"motion": -0.1}, {"motion": 2.1}, {"expression": 1.1}])
def test_amounts_outside_their_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="outside 0…"):
        MeshEngine(**options)
    assert MeshEngine(motion=2).motion == 2


@pytest.mark.parametrize("grey", [False, True])
def test_the_mouth_of_a_grey_picture_is_grey(portrait: Portrait, grey: bool) -> None:
    rgb = np.repeat(portrait.rgb.mean(2, keepdims=True).astype(np.uint8), 3, axis=2) if grey else portrait.rgb
    renderer = MeshEngine().open(replace(portrait, rgb=rgb), None).renderer
    wide = build_expression(replace(RESTING_ARTICULATION, jaw=1.0, tongue=1.0), REST_POSE)
    colour = np.ptp(slice_box(renderer.render(wide), renderer.mouth_box).astype(int), axis=2)
    assert (colour.max() <= 1) == grey

"""The session: streaming equals offline, frames are counted by the clock, and the lips do what speech says."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveavatar.errors import OptionError, SessionClosed
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture, Samples
from liveavatar.mesh.compose import Expression, Stage
from liveavatar.mesh.expression import SHAPES, Articulation, express
from liveavatar.mesh.field import floats
from liveavatar.mesh.motion import HeadPose
from liveavatar.mesh.session import MeshActor, MeshEngine
from liveavatar.timeline import Timeline

FPS = Fraction(25)
STILL = HeadPose(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
SHUT = Articulation(jaw=0, closure=0, rounding=0, spread=0, upper_lip=0, tongue=0, bite=0)


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


def as_it_was(weight: float = 0.0) -> Expression:
    nothing = floats(np.zeros(len(SHAPES) + 1))
    return Expression(
        shapes=nothing, head=floats([weight] * 6), blink=(0, 0), gaze=(0.0, 0.0), jaw=0, tongue=0
    )


def opening(stage: Stage, mouth: Articulation) -> float:
    """Share of the mouth's surroundings that lies between the lips."""
    maps = stage._maps(express(mouth, STILL))
    upper, lower = stage.lips.layers(
        maps.at_face(maps.upper, stage.mouth_box), maps.at_face(maps.lower, stage.mouth_box)
    )
    return float(((1 - upper) * (1 - lower)).mean())


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 7000), min_size=1, max_size=8))
def test_streaming_equals_offline(actor: MeshActor, babble: Samples, cuts: list[int]) -> None:
    sound = babble[:9600]
    edges = [0, *(min(edge, len(sound)) for edge in np.cumsum(cuts).tolist()), len(sound)]
    chunks = [sound[a:b] for a, b in pairwise(edges)]
    streamed, whole = speak(actor, chunks), speak(actor, [sound])
    assert len(streamed) == len(whole) == 15
    assert all(np.array_equal(a, b) for a, b in zip(streamed, whole, strict=True))


@pytest.mark.parametrize("fps", [Fraction(16), Fraction(25), Fraction(30_000, 1001), Fraction(60)])
@pytest.mark.parametrize("samples", [1, 159, 161, 4000, 4001])
def test_there_are_as_many_frames_as_the_clock_says(actor: MeshActor, fps: Fraction, samples: int) -> None:
    frames = speak(actor, [np.zeros(samples, np.float32)], fps)
    assert len(frames) == Timeline(fps=fps).frame_count(samples)


def test_no_sound_no_frames(actor: MeshActor) -> None:
    assert speak(actor, []) == []


def test_a_frame_waits_for_the_declared_lookahead_and_no_longer(actor: MeshActor) -> None:
    session = actor.session(FPS, 0)
    session.push(np.zeros(640 + session.lookahead - 1, np.float32))
    assert list(session.frames()) == []
    session.push(np.zeros(160, np.float32))
    assert [frame.pts for frame in session.frames()] == [0]


def test_what_comes_later_never_changes_a_frame(actor: MeshActor, babble: Samples) -> None:
    session = actor.session(FPS, 0)
    session.push(babble[:8000])
    early = [frame.rgb for frame in session.frames()]
    whole = speak(actor, [babble[:16_000]])
    assert len(early) > 5
    assert all(np.array_equal(a, b) for a, b in zip(early, whole, strict=False))


def test_same_seed_same_frames_other_seed_other_motion(actor: MeshActor, babble: Samples) -> None:
    sound = babble[:16_000]
    first, again, other = (speak(actor, [sound], seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_flushed_session_takes_no_more(actor: MeshActor) -> None:
    session = actor.session(FPS, 0)
    session.flush()
    with pytest.raises(SessionClosed, match="open a new one"):
        session.push(np.zeros(10, np.float32))


def test_interrupting_forgets_what_was_not_shown(actor: MeshActor, babble: Samples) -> None:
    session = actor.session(FPS, 0)
    session.push(babble[:16_000])
    shown = [next(session.frames()).pts, next(session.frames()).pts]
    session.interrupt()
    session.push(np.zeros(3200, np.float32))
    session.flush()
    assert shown + [frame.pts for frame in session.frames()] == list(range(7))


def test_at_rest_the_frame_is_the_portrait(portrait: Portrait, actor: MeshActor) -> None:
    frame = actor.stage.render(as_it_was())
    assert np.abs(frame.astype(int) - portrait.rgb).max() <= 1


def test_the_background_does_not_swim(portrait: Portrait, actor: MeshActor) -> None:
    frame = actor.stage.render(as_it_was(0.03))
    far = portrait.matte < 3
    far &= ~(np.asarray(_dilated(portrait.matte > 30)))
    assert far.mean() > 0.2
    assert np.abs(frame.astype(int) - portrait.rgb)[far].max() <= 1


def _dilated(
    mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    import cv2

    return np.asarray(cv2.dilate(np.asarray(mask, np.uint8), np.ones((15, 15), np.uint8)) > 0)


def test_vowels_open_the_mouth_and_closures_shut_it(actor: MeshActor) -> None:
    stage = actor.stage
    vowel = replace(SHUT, jaw=1.0)
    assert opening(stage, SHUT) < 0.001
    assert opening(stage, vowel) > 0.03
    assert opening(stage, replace(vowel, closure=1.0)) < 0.1 * opening(stage, vowel)


def test_the_harder_the_vowel_the_wider_the_mouth(actor: MeshActor) -> None:
    widths = [opening(actor.stage, replace(SHUT, jaw=jaw)) for jaw in (0.2, 0.4, 0.6, 0.8, 1.0)]
    assert widths == sorted(widths)


def test_silence_keeps_the_mouth_shut(actor: MeshActor) -> None:
    session = actor.session(FPS, 0)
    session.push(np.zeros(16_000, np.float32))
    session.flush()
    while (speech := session._take()) is not None:
        session._next += 1
        assert opening(actor.stage, Articulation.during(speech)) < 0.001


def test_no_motion_keeps_the_head_still_and_no_expression_the_mouth(
    portrait: Portrait, babble: Samples
) -> None:
    quiet = MeshEngine(motion=0, expression=0).open(portrait, None)
    for picture in speak(quiet, [babble[:16_000]])[:20]:
        still = np.abs(picture.astype(int) - portrait.rgb)
        assert np.quantile(still, 0.99) <= 1
    assert opening(quiet.stage, replace(SHUT, jaw=1.0).softened(0)) < 0.001


@pytest.mark.parametrize("options", [{"motion": -0.1}, {"expression": 1.1}])
def test_amounts_outside_their_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="outside 0…1"):
        MeshEngine(**options)

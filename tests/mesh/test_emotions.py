"""Emotions: words, glides, and what they leave alone."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveavatar.errors import OptionError, SessionClosed
from liveavatar.face.inspection.mouth_profile import LevelMouth, find_mouth_inside, median_skin
from liveavatar.face.landmarks import enclose_landmarks, predict_landmarks
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.frames import Picture, Samples
from liveavatar.mesh.emotions import EMOTIONS, GLIDE_SECONDS, EmotionTrack, parse_emotion
from liveavatar.mesh.expression import (
    RESTING_ARTICULATION,
    SHAPE_TO_ARKIT,
    MouthArticulation,
    build_expression,
)
from liveavatar.mesh.motion.head_pose import RESTING_POSE
from liveavatar.mesh.self_check import CHECKED_VISEMES, check_drawn_mouth
from liveavatar.mesh.session import MeshActor, MeshEngine
from liveavatar.timeline import Timeline

NAMES = sorted(EMOTIONS)
FPS = Fraction(25)


@pytest.fixture(scope="module")
def hopper(photograph: object) -> Portrait:
    """The photograph at its own size."""
    return load_portrait(photograph)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def actor(hopper: Portrait) -> MeshActor:
    return MeshEngine().open(hopper, None)


@pytest.fixture(scope="module")
def small_actor(portrait: Portrait) -> MeshActor:
    return MeshEngine().open(portrait, None)


def draw_viseme(actor: MeshActor, mouth: MouthArticulation, emotion: str = "neutral") -> Picture:
    return actor.renderer.render(build_expression(mouth, RESTING_POSE, parse_emotion(emotion)))


def measure_opening(actor: MeshActor, mouth: MouthArticulation, emotion: str) -> float:
    """Area between the lips, in squares of the interocular unit."""
    renderer = actor.renderer
    maps = renderer._build_maps(build_expression(mouth, RESTING_POSE, parse_emotion(emotion)))
    upper, lower = renderer.lips.side_opacities(
        maps.face_positions(maps.upper, renderer.mouth_box),
        maps.face_positions(maps.lower, renderer.mouth_box),
    )
    return float(((1 - upper) * (1 - lower)).sum()) / renderer.unit**2


@given(st.sampled_from(NAMES), st.floats(0, 1))
def test_an_emotion_has_its_amount(name: str, amount: float) -> None:
    whole, part = parse_emotion(name), parse_emotion(f"{name}:{amount}")
    assert whole == EMOTIONS[name] == parse_emotion(f"{name}:1")
    assert part == {shape: pytest.approx(amount * weight) for shape, weight in whole.items()}
    assert set(whole) <= set(SHAPE_TO_ARKIT)


@pytest.mark.parametrize("text", ["", "angry", "Happy ", "happy,sad", ":0.5"])
def test_an_unknown_emotion_is_refused_with_those_that_are_known(text: str) -> None:
    with pytest.raises(OptionError, match=r"no emotion .*choose neutral, warm, happy"):
        parse_emotion(text)


@pytest.mark.parametrize("amount", ["", "much", "1.01", "-0.1", "nan", "inf", "0,5"])
def test_an_amount_outside_its_range_is_refused(amount: str) -> None:
    with pytest.raises(OptionError, match=r"write happy:0\.5"):
        MeshEngine(emotion=f"happy:{amount}")


@given(
    st.lists(st.tuples(st.integers(0, 120), st.sampled_from(NAMES), st.floats(0, 1)), max_size=6),
    st.sampled_from([Fraction(16), Fraction(25), Fraction(30_000, 1001), Fraction(60)]),
)
def test_emotions_glide(changes: Sequence[tuple[int, str, float]], fps: Fraction) -> None:
    """No shape jumps, and after half a second without a change the face has the last emotion, at every frame rate."""
    track = EmotionTrack(Timeline(fps=fps), parse_emotion("warm"))
    ordered = sorted(changes)
    for frame, name, amount in ordered:
        track.change_emotion(frame, parse_emotion(f"{name}:{amount}"))
    end = (ordered[-1][0] if ordered else 0) + int(GLIDE_SECONDS * fps) + 1
    shown = [track.read_frame(frame) for frame in range(end + 1)]
    last = "warm" if not ordered else f"{ordered[-1][1]}:{ordered[-1][2]}"
    for shape in SHAPE_TO_ARKIT:
        values = [weights.get(shape, 0.0) for weights in shown]
        steepest = (
            1.5 * max(weights.get(shape, 0.0) for weights in EMOTIONS.values()) / (GLIDE_SECONDS * float(fps))
        )
        assert np.abs(np.diff(values)).max() <= steepest + 1e-9
        assert values[-1] == pytest.approx(parse_emotion(last).get(shape, 0.0))


def speak_with_emotions(
    actor: MeshActor, sound: Samples, cuts: Sequence[int], changes: dict[int, str]
) -> list[Picture]:
    """The frames of `sound`, cut at `cuts` and where the emotion changes."""
    session, pictures = actor.session(FPS, 0), []
    edges = sorted({0, len(sound), *(cut for cut in cuts if cut < len(sound)), *changes})
    for start, end in pairwise(edges):
        if start in changes:
            session.set_emotion(changes[start])
        session.push(sound[start:end])
        pictures += [frame.rgb for frame in session.frames()]
    session.flush()
    return pictures + [frame.rgb for frame in session.frames()]


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(1, 12_000), max_size=6),
    st.dictionaries(st.integers(0, 12_000), st.sampled_from(["happy:0.6", "sad", "surprised"]), max_size=3),
)
def test_streaming_equals_offline_with_emotions(
    small_actor: MeshActor, babble: Samples, cuts: list[int], changes: dict[int, str]
) -> None:
    sound = babble[:12_800]
    streamed = speak_with_emotions(small_actor, sound, cuts, changes)
    whole = speak_with_emotions(small_actor, sound, [], changes)
    assert len(streamed) == len(whole) == 20
    assert all(np.array_equal(a, b) for a, b in zip(streamed, whole, strict=True))


def test_an_emotion_begins_with_the_sound_that_follows(small_actor: MeshActor, babble: Samples) -> None:
    sound = babble[:16_000]
    plain = speak_with_emotions(small_actor, sound, [], {})
    happy = speak_with_emotions(small_actor, sound, [], {8_000: "happy"})
    differ = [not np.array_equal(a, b) for a, b in zip(plain, happy, strict=True)]
    assert not any(
        differ[:13]
    )  # the first frame with some of that sound is number 12, where the glide is at 0
    assert all(differ[13:])


def test_an_emotion_from_the_start_needs_no_glide(portrait: Portrait, small_actor: MeshActor) -> None:
    sound = np.zeros(3_200, np.float32)
    asked = speak_with_emotions(small_actor, sound, [], {0: "happy"})
    opened = speak_with_emotions(MeshEngine(emotion="happy").open(portrait, None), sound, [], {})
    assert all(np.array_equal(a, b) for a, b in zip(asked, opened, strict=True))


def test_after_an_interruption_the_emotion_begins_at_once(small_actor: MeshActor, babble: Samples) -> None:
    session = small_actor.session(FPS, 0)
    session.push(babble[:16_000])
    shown = [next(session.frames()) for _ in range(3)]
    session.set_emotion("sad")  # for sound after that of frame 25
    session.interrupt()
    assert session._emotions.read_frame(len(shown) + 13) == pytest.approx(EMOTIONS["sad"])


def test_a_flushed_session_refuses_an_emotion_and_every_session_unknown_ones(small_actor: MeshActor) -> None:
    session = small_actor.session(FPS, 0)
    with pytest.raises(OptionError, match="no emotion 'furious'"):
        session.set_emotion("furious")
    session.flush()
    with pytest.raises(SessionClosed):
        session.set_emotion("sad")


@pytest.mark.parametrize("emotion", NAMES)
def test_lips_meet_under_every_emotion(actor: MeshActor, emotion: str) -> None:
    """At rest and in closures; and vowels stay open."""
    for jaw in (0.0, 0.3, 0.8):
        closed = replace(RESTING_ARTICULATION, jaw=jaw, spread=0.3, closure=1.0)
        assert measure_opening(actor, closed, emotion) < 0.001
    assert measure_opening(actor, RESTING_ARTICULATION, emotion) < 0.001
    assert measure_opening(actor, replace(RESTING_ARTICULATION, jaw=0.8), emotion) > 0.03


@pytest.mark.parametrize("emotion", [name for name in NAMES if name != "neutral"])
def test_mouths_are_well_drawn_under_every_emotion(hopper: Portrait, actor: MeshActor, emotion: str) -> None:
    found = check_drawn_mouth(hopper, lambda mouth: draw_viseme(actor, mouth, emotion))
    assert {finding.level for finding in found} == {"ok"}


def test_emotions_move_the_face_where_they_should(actor: MeshActor, hopper: Portrait) -> None:
    """Corners of the mouth, as they are found again in frames: up in a smile, down in sorrow."""

    def find_corners(emotion: str) -> float:
        rgb = draw_viseme(actor, RESTING_ARTICULATION, emotion)
        points = predict_landmarks(rgb, enclose_landmarks(hopper.landmarks))[0]
        return float((points[[61, 291], 1] - points[[13, 13], 1]).mean()) / actor.renderer.unit

    neutral = find_corners("neutral")
    assert find_corners("happy") < neutral - 0.015
    assert find_corners("sad") > neutral + 0.01


def test_f_is_not_m(actor: MeshActor, hopper: Portrait) -> None:
    """On f the lips are apart and upper teeth show between them; on m neither."""
    gaps, teeth = [], []
    for name in ("FF", "PP"):
        rgb = draw_viseme(actor, CHECKED_VISEMES[name])
        points = predict_landmarks(rgb, enclose_landmarks(hopper.landmarks))[0]
        gaps.append(float(points[14, 1] - points[13, 1]) / actor.renderer.unit)
        level, skin = LevelMouth.from_picture(rgb, points), median_skin(rgb, points)
        teeth.append(int(find_mouth_inside(level, skin)[1].sum()))
    assert gaps[0] > 0.02 > 0.012 > gaps[1]
    assert teeth[0] > 20 > 5 > teeth[1]

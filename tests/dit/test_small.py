"""The small preset with the weights of the package, through the real session."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from liveavatar.dit.codecs.face_window import choose_face_window, cut_face
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.session import DitActor, DitEngine
from liveavatar.engines import check_engine_readiness
from liveavatar.errors import OptionError, PortraitError
from liveavatar.face.picture import read_picture
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.frames import Picture, Samples
from liveavatar.mesh.session import MeshEngine
from liveavatar.timeline import Timeline

FPS = Fraction(25)


@pytest.fixture(scope="module")
def whole_portrait(photograph: Path) -> Portrait:
    return load_portrait(photograph)


@pytest.fixture(scope="module")
def engine() -> DitEngine:
    return DitEngine(DitOptions(preset="small"))


@pytest.fixture(scope="module")
def actor(engine: DitEngine, whole_portrait: Portrait) -> DitActor:
    return engine.open(whole_portrait, (160, 192))


def speak(actor: DitActor, pieces: list[Samples], fps: Fraction = FPS) -> list[Picture]:
    session = actor.session(fps, 0)
    for piece in pieces:
        session.push(piece)
    session.flush()
    return [frame.rgb for frame in session.frames()]


def measure_darkness(faces: list[Picture]) -> np.ndarray:
    """Darkness between the lips, in each picture of a face."""
    return np.array([255 - face[82:100, 52:76].mean() for face in faces])


@pytest.mark.slow
def test_the_lips_follow_a_voice_they_were_never_trained_on(
    actor: DitActor, whole_portrait: Portrait, babble: Samples
) -> None:
    drawn = speak(replace(actor, compose_frame=lambda picture: picture), [babble])
    teacher = MeshEngine(motion=0.0, gaze="camera").open(whole_portrait, None).session(FPS, 0)
    teacher.push(babble)
    teacher.flush()
    window = choose_face_window(whole_portrait.landmarks)
    taught = [cut_face(frame.rgb, window, 128) for frame in teacher.frames()]
    assert len(drawn) == len(taught) == 50
    ours, theirs = measure_darkness(drawn), measure_darkness(taught)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9
    late = [float(np.corrcoef(ours[2 + k : 46 + k], theirs[2:46])[0, 1]) for k in range(-2, 5)]
    assert int(np.argmax(late)) - 2 in (0, 1)


@settings(max_examples=4)
@given(st.lists(st.integers(0, 16_000), max_size=5))
@pytest.mark.slow
def test_the_cuts_of_the_sound_have_no_effect(actor: DitActor, babble: Samples, cuts: list[int]) -> None:
    sound = babble[:16_000]
    whole = speak(actor, [sound])
    pieces = speak(actor, np.split(sound, sorted(cuts)))
    assert all(np.array_equal(one, other) for one, other in zip(whole, pieces, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("fps", [Fraction(16), Fraction(30_000, 1001)])
def test_frames_cover_the_sound_at_other_rates(actor: DitActor, babble: Samples, fps: Fraction) -> None:
    frames = speak(actor, [babble[:12_000]], fps)
    assert len(frames) == Timeline(fps=fps).frame_count(12_000)
    assert frames[0].shape == (192, 160, 3)


@pytest.mark.slow
def test_after_an_interruption_the_lips_speak_the_new_sound(actor: DitActor, babble: Samples) -> None:
    session = actor.session(FPS, 0)
    session.push(babble[:20_000])
    frames = session.frames()
    taken = [next(frames).rgb for _ in range(6)]
    session.interrupt()
    session.push(np.zeros(10_000, np.float32))
    session.flush()
    rest = [frame.rgb for frame in session.frames()]
    assert len(taken) + len(rest) == 6 + Timeline(fps=FPS).frame_count(10_000)
    still = np.abs(rest[-1].astype(int) - rest[-2]).mean()
    assert still < np.abs(taken[5].astype(int) - taken[3]).mean() + 0.5


def test_only_the_face_is_drawn(actor: DitActor, whole_portrait: Portrait, babble: Samples) -> None:
    frames = speak(actor, [babble[:8_000]])
    assert actor.size == (160, 192)
    rows = {frame[170:].tobytes() for frame in frames}
    assert len(rows) == 1


def test_a_face_it_has_not_learned_is_refused(engine: DitEngine, whole_portrait: Portrait) -> None:
    mirrored = replace(whole_portrait, rgb=np.ascontiguousarray(whole_portrait.rgb[:, ::-1]))
    with pytest.raises(PortraitError, match=r"one face only.*--engine mesh"):
        engine.open(mirrored, None)


@pytest.mark.parametrize("side", [300, 900])
def test_the_same_portrait_in_another_size_is_known(
    engine: DitEngine, whole_portrait: Portrait, photograph: Path, tmp_path: Path, side: int
) -> None:
    file = tmp_path / "scaled.png"
    height = side * 600 // 512
    Image.fromarray(read_picture(photograph)).resize((side, height)).save(file)
    assert engine.open(load_portrait(file), None).size == (side, height & ~1)


def test_it_runs_on_any_cpu_and_has_no_parity() -> None:
    assert check_engine_readiness("dit", {"preset": "small"}).ready
    assert DitOptions(preset="small").device_name == "cpu"
    with pytest.raises(OptionError, match="no small preset"):
        DitOptions(preset="small", parity=True)

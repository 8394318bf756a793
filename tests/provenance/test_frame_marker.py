"""When the label is seen: two seconds at the beginning and after breaks. Without marks nothing changes."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from liveavatar.avatar import Avatar, AvatarSession
from liveavatar.errors import OptionError
from liveavatar.frames import VideoFrame
from liveavatar.provenance.frame_marker import FrameMarker, MarkedSession
from liveavatar.provenance.policy import MarkPolicy
from provenance.grey_actor import GreyActor
from provenance.test_speech_breaks import make_sound

UNMARKED = MarkPolicy(label="none", watermark=False)
LABELLED = MarkPolicy(label="AI", watermark=False)
SPEECH = make_sound((3, 0.2), (4, 0), (3, 0.2))


def mark_speech(
    policy: MarkPolicy, fps: Fraction = Fraction(25), chunk: int = 640, drain_every: int = 1
) -> list[VideoFrame]:
    """Frames of a session that gets `SPEECH` in chunks and is asked for frames after every few of them."""
    actor, frames = GreyActor(), list[VideoFrame]()
    session = MarkedSession(actor.session(fps, 0), FrameMarker(actor.size, fps, policy))
    for number, start in enumerate(range(0, len(SPEECH), chunk)):
        buffer = SPEECH[start : start + chunk].copy()
        session.push(buffer)
        buffer[:] = 1  # a caller may use its buffer again
        if number % drain_every == 0:
            frames += session.frames()
    session.flush()
    return frames + list(session.frames())


def is_labelled(frame: VideoFrame) -> bool:
    return bool(frame.rgb.max() > 200)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(16), Fraction(30_000, 1001)])
def test_the_label_is_there_for_two_seconds_at_the_beginning_and_after_a_break(fps: Fraction) -> None:
    frames = mark_speech(LABELLED, fps)
    seconds = [float(frame.time) for frame in frames if is_labelled(frame)]
    opening, again = [time for time in seconds if time < 5], [time for time in seconds if time > 5]
    assert opening[0] == 0
    assert again[0] == pytest.approx(7.1, abs=0.1)
    for shown in (opening, again):
        assert 2 <= shown[-1] - shown[0] + 1 / fps < 2.45
        assert np.diff(shown).max(initial=0) < 1.01 / fps
    assert len(frames) == round(10 * fps)


def test_it_fades_and_goes_away() -> None:
    tops = [int(frame.rgb.max()) for frame in mark_speech(LABELLED)]
    assert tops[:50] == [tops[0]] * 50
    assert all(before >= after for before, after in pairwise(tops[49:61]))
    assert tops[62:170] == [128] * 108


@pytest.mark.parametrize(("chunk", "drain_every"), [(160, 1), (1_001, 3), (16_000, 1), (len(SPEECH), 1)])
def test_frames_do_not_depend_on_chunks(chunk: int, drain_every: int) -> None:
    frames = mark_speech(LABELLED, chunk=chunk, drain_every=drain_every)
    for frame, other in zip(frames, mark_speech(LABELLED), strict=True):
        assert np.array_equal(frame.rgb, other.rgb)


def test_without_marks_the_frames_are_the_engines_own() -> None:
    marker, session = FrameMarker((64, 64), Fraction(25), UNMARKED), GreyActor().session(Fraction(25), 0)
    session.push(SPEECH)
    session.flush()
    for frame in session.frames():
        assert marker.mark_frame(frame) is frame


def test_an_interruption_keeps_the_clock() -> None:
    fps = Fraction(25)
    session = MarkedSession(GreyActor().session(fps, 0), FrameMarker((64, 64), fps, LABELLED))
    session.push(make_sound((1, 0.2), (4, 0)))
    frames = list(session.frames())
    session.push(make_sound((30, 0.2)))
    session.interrupt()
    session.push(make_sound((1, 0), (1, 0.2)))
    session.flush()
    frames += session.frames()
    shown = [frame.pts for frame in frames if is_labelled(frame)]
    assert [pts for pts in shown if pts > 80][0] in range(150, 156)  # noqa: RUF015  (one line says it)


def read_live(session: AvatarSession) -> list[VideoFrame]:
    with session:
        session.push(SPEECH[:32_000], 16_000)
    return list(session.frames())


def test_live_sessions_carry_the_label_unless_it_is_declined() -> None:
    avatar = Avatar(GreyActor())
    assert is_labelled(read_live(avatar.session())[0])
    watermarked = read_live(avatar.session(label="none"))
    assert 0 < np.abs(watermarked[0].rgb.astype(int) - 128).max() < 8
    plain = read_live(avatar.session(label="none", watermark=False))
    assert all(np.array_equal(frame.rgb, np.full((64, 64, 3), 128)) for frame in plain)
    with pytest.raises(OptionError, match="is too long for frames of 64x64"):
        avatar.session(label="made by a program of some kind")

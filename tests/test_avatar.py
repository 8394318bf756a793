"""Sessions of an avatar, on a fake engine that counts samples."""

import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import liveavatar
from audio.sounds import write_wav
from liveavatar.avatar import Avatar, AvatarSession
from liveavatar.errors import (
    AudioError,
    LiveAvatarError,
    OptionError,
    OutputError,
    PortraitError,
    SessionClosed,
)
from liveavatar.frames import Samples, VideoFrame
from liveavatar.report import Finding

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


class FeelingSession(CountingSession):
    """Notes the sample at which each emotion begins."""

    def __init__(self) -> None:
        super().__init__()
        self.emotions: list[tuple[str, int]] = []

    def set_emotion(self, emotion: str, delay: int = 0) -> None:
        self.emotions.append((emotion, self.sample_count + delay))

    def check_emotion(self, emotion: str) -> None:
        pass


class CountingActor:
    """Opens one session, which the test looks at."""

    size = (2, 2)
    findings: tuple[Finding, ...] = ()

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


@given(
    st.lists(st.integers(1, 9_000), max_size=6),
    st.integers(0, 20_000),
    st.sampled_from([16_000, 24_000, 44_100]),
)
def test_an_emotion_begins_with_the_sound_that_follows_however_it_is_cut(
    cuts: list[int], change: int, rate: int
) -> None:
    """To the sample, although resampler and gain control hold some of the sound back."""
    engine_session = FeelingSession()
    session = AvatarSession(engine_session)
    edges = sorted({0, change, 20_000, *(cut for cut in cuts if cut < 20_000)})
    for start, end in pairwise(edges):
        if start == change:
            session.set_emotion("happy")
        session.push(np.zeros(end - start, np.float32), rate)
    if change == 20_000:
        session.set_emotion("happy")
    assert engine_session.emotions == [("happy", change * 16_000 // rate)]


def test_an_engine_without_emotions_says_so(engine_session: CountingSession, recording: Path) -> None:
    with pytest.raises(OptionError, match="takes no emotion; describe the face in its prompt"):
        AvatarSession(engine_session).set_emotion("happy")
    output = recording.with_suffix(".mp4")
    with pytest.raises(OptionError, match="takes no emotion"):
        Avatar(CountingActor()).render(recording, output, audio_policy="as-is", emotion="sad")
    assert not output.exists()


def test_a_rendering_may_have_an_emotion_of_its_own(recording: Path) -> None:
    actor = CountingActor()
    actor.engine_session = session = FeelingSession()
    Avatar(actor).render(recording, recording.with_suffix(".mp4"), audio_policy="as-is", emotion="sad:0.5")
    assert session.emotions == [("sad:0.5", 0)]


def test_a_closed_session_takes_no_emotion(engine_session: CountingSession) -> None:
    session = AvatarSession(engine_session)
    session.flush()
    with pytest.raises(SessionClosed):
        session.set_emotion("happy")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "a.wav", np.zeros((8_000, 1), np.float32), 16_000)


@pytest.mark.parametrize("convert", [str, os.fsencode, Path])
def test_paths_may_be_text_bytes_or_paths(recording: Path, convert: Any) -> None:
    output = recording.with_suffix(".mp4")
    result = Avatar(CountingActor()).render(convert(recording), convert(output), audio_policy="as-is")
    assert result.output == output
    assert output.stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"audio": 5}, AudioError, "int is not the path of a recording"),
        ({"audio": ""}, AudioError, "the name of the recording is empty"),
        ({"output": None}, OutputError, "NoneType is not the path of a video"),
        ({"output": "a\0.mp4"}, OutputError, "is not a file name"),
        ({"output": "/"}, OutputError, "/ is a folder"),
        ({"output": "."}, OutputError, "is a folder"),
        ({"output": "none/a.mp4"}, OutputError, "there is no folder none; create it first"),
        ({"output": "声" * 90 + ".mp4"}, OutputError, "the name is too long; choose a shorter one"),
        ({"output": "/dev/full"}, OutputError, "is a device or a pipe"),
        ({"audio_policy": "x"}, OptionError, "there is no audio policy 'x'; use one of: fix, strict, as-is"),
        ({"fps": None}, OptionError, "fps None is not a number"),
        ({"fps": "1e999999999"}, OptionError, "is not a number"),
        ({"fps": [25]}, OptionError, "is not a number"),
        ({"seed": "x"}, OptionError, "seed 'x' is not possible"),
        ({"seed": -1}, OptionError, "seed -1 is not possible"),
        ({"seed": 2**64}, OptionError, "is not possible"),
        ({"seed": 1.5}, OptionError, "seed 1.5 is not possible"),
        ({"track": "1"}, AudioError, "has no sound track '1'"),
        ({"producer": None}, OptionError, "None is not the name of a producer"),
        (
            {"producer": "x" * 201},
            OptionError,
            "the name of the producer has 201 characters; use 200 or fewer",
        ),
        ({"watermark": "no"}, OptionError, "watermark 'no' is not possible; use True or False"),
    ],
    ids=str,
)
def test_unusable_arguments_of_a_rendering_are_one_error(
    recording: Path, options: dict[str, Any], error: type[LiveAvatarError], message: str
) -> None:
    arguments = {"audio": recording, "output": recording.with_suffix(".mp4")} | options
    with pytest.raises(error, match=message):
        Avatar(CountingActor()).render(**arguments)
    assert [path.name for path in recording.parent.iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    "options", [{"fps": None}, {"seed": None}, {"seed": 2**63}, {"label": None}, {"watermark": None}]
)
def test_unusable_arguments_of_a_session_are_one_error(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Avatar(CountingActor()).session(**options)


def make_link(folder: Path, source: Path, name: str, how: str) -> Path:
    link = folder / name
    if how == "symbolic link":
        link.symlink_to(source)
    else:
        link.hardlink_to(source)
    return link


@pytest.mark.parametrize("name", ["a.txt", "a.avi", "a", "mp4", ".mp4", "a.mp4.part"])
def test_a_video_is_never_named_like_something_else(recording: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"does not end in \.mp4, \.mov or \.webm; name it .*\.mp4"):
        Avatar(CountingActor()).render(recording, recording.with_name(name))
    assert [path.name for path in recording.parent.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("how", ["the file", "symbolic link", "hard link"])
@pytest.mark.parametrize("label", ["recording", "portrait"])
def test_an_input_is_never_replaced(
    tmp_path: Path, recording: Path, photograph: Path, label: str, how: str
) -> None:
    portrait = Path(shutil.copy(photograph, tmp_path / "face.mp4"))
    sound = Path(shutil.copy(recording, tmp_path / "sound.mp4"))
    output = portrait if label == "portrait" else sound
    content = output.read_bytes()
    if how != "the file":
        output = make_link(tmp_path, output, "link.mp4", how)
    with pytest.raises(OutputError, match=f"is the {label} itself; choose another name"):
        Avatar(CountingActor(), portrait).render(sound, output)
    assert output.read_bytes() == content


def test_a_missing_recording_is_an_error_where_the_video_exists(recording: Path) -> None:
    output = recording.with_suffix(".mp4")
    output.write_bytes(b"before")
    with pytest.raises(AudioError):
        Avatar(CountingActor()).render(recording.with_name("none.wav"), output)
    assert output.read_bytes() == b"before"


def test_an_opened_picture_is_the_portrait_that_no_rendering_replaces(
    tmp_path: Path, recording: Path, photograph: Path
) -> None:
    picture = Path(shutil.copy(photograph, tmp_path / "face.mp4"))
    avatar = liveavatar.open(os.fsencode(picture))
    with pytest.raises(OutputError, match="is the portrait itself"):
        avatar.render(recording, picture)
    assert picture.read_bytes() == photograph.read_bytes()


def test_live_sound_that_cannot_be_read_is_an_error_and_the_session_goes_on(
    engine_session: CountingSession,
) -> None:
    session = AvatarSession(engine_session)
    refused: list[tuple[Any, float]] = [(SECOND, 24_000.5), (SECOND[None], 16_000), (b"1234", 16_000)]
    for chunk, rate in refused:
        with pytest.raises(AudioError):
            session.push(chunk, rate)
    session.push(SECOND, 16_000.0)
    session.flush()
    assert engine_session.sample_count == 16_000


@pytest.mark.parametrize("size", [(0, 0), (100_000, 100_000), 512, (512.0, 512.0), "512"])
def test_an_unusable_size_is_refused_before_anything_is_read(size: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match="size"):
        liveavatar.open("there is no such picture", size=size)


@pytest.mark.parametrize("face", ["1", 1.0, True, [1]])
def test_a_face_that_is_no_number_is_refused(photograph: Path, face: int) -> None:
    with pytest.raises(OptionError, match="is not the number of a face"):
        liveavatar.open(photograph, face=face)


@pytest.mark.parametrize("image", [None, 7, "", b"", [], "a\0b", "/", ".", "a" * 5000])
def test_what_is_no_picture_file_is_refused_in_one_line(image: str) -> None:
    with pytest.raises(PortraitError) as caught:
        liveavatar.open(image)
    assert "\n" not in str(caught.value)

"""Pictures come with their own times, whatever the file does to them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from audio.sounds import pulse, write_wav
from liveavatar.errors import VideoError
from liveavatar.video.reader import find_sound_start, open_video
from liveavatar.video.writer import VideoWriter
from video.clips import FPS, write_clip

SIZE = (64, 48)


def write_video(path: Path, count: int = 50, fps: Fraction = Fraction(25), sound: Path | None = None) -> Path:
    with VideoWriter(path, fps, SIZE, sound) as writer:
        for index in range(count):
            writer.write(np.full((SIZE[1], SIZE[0], 3), 4 * index, np.uint8))
    return path


def write_uneven_video(path: Path, stamps: list[int]) -> Path:
    """A matroska file whose frames have the given times in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = SIZE
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp in stamps:
            frame = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("fps", [Fraction(16), Fraction(25), Fraction(30_000, 1_001)])
def test_times_are_exact(tmp_path: Path, fps: Fraction) -> None:
    with open_video(write_video(tmp_path / "a.mp4", fps=fps)) as video:
        shown = [picture.time for picture in video]
    assert shown == [index / fps for index in range(50)]


def test_times_are_those_of_the_file(tmp_path: Path) -> None:
    stamps = [0, 40, 80, 500, 520, 900]
    with open_video(write_uneven_video(tmp_path / "a.mkv", stamps)) as video:
        assert [round(picture.time * 1000) for picture in video] == stamps


def test_pictures_are_rgb(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "a.mp4")) as video:
        levels = [int(picture.rgb.mean().round()) for picture in video]
    np.testing.assert_allclose(levels, [4 * index for index in range(50)], atol=4)


@pytest.mark.parametrize(
    ("container", "codec", "sound"),
    [
        ("avi", "libx264", "mp3"),
        ("avi", "mpeg4", "mp3"),
        ("matroska", "libx264", "aac"),
        ("mpegts", "libx264", "aac"),
        ("mp4", "libx264", "aac"),
        ("h264", "libx264", None),
    ],
)
def test_no_picture_is_lost_or_moved(tmp_path: Path, container: str, codec: str, sound: str | None) -> None:
    path = write_clip(tmp_path / "clip.bin", container, codec=codec, sound=sound)
    with open_video(path) as video:
        shown = [(picture.time, round(picture.rgb.mean() / 3)) for picture in video]
    start = shown[0][0]
    assert [(time - start) * FPS for time, _ in shown] == list(range(75))
    np.testing.assert_allclose([grey for _, grey in shown], range(75), atol=2)
    if container != "mpegts":
        assert start == 0


def test_a_part_of_a_file_without_picture_times_has_the_same_pictures(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.avi", "avi", sound="mp3")
    with open_video(path) as video:
        whole = {picture.time: picture.rgb for picture in video}
    with open_video(path) as video:
        part = {picture.time: picture.rgb for picture in video.read_between(Fraction(1), Fraction(2))}
    assert list(part) == [Fraction(k, FPS) for k in range(25, 50)]
    assert all(np.array_equal(part[time], whole[time]) for time in part)


def test_pictures_that_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveavatar.video.picture_stream.MAX_PIXELS", 64 * 48 - 1)
    path = write_clip(tmp_path / "clip.mp4", "mp4")
    with pytest.raises(VideoError, match="64x48"):
        open_video(path)


def test_large_pictures_come_in_half_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.mp4", "mp4")
    with open_video(path) as video:
        whole = [picture.rgb for picture in video]
    monkeypatch.setattr("liveavatar.video.reader._MAX_RGB_PIXELS", 64 * 48 - 1)
    with open_video(path) as video:
        halved = [picture.rgb for picture in video]
    assert len(halved) == len(whole)
    for large, small in zip(whole, halved, strict=True):
        assert small.shape == (24, 32, 3)
        means = large.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
        assert np.abs(means - small).mean() < 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pixels", "is_read"), [("yuv420p", True), ("yuv444p", True), ("yuv444p10le", False)]
)
def test_8k_is_read_if_its_pictures_fit_into_memory(tmp_path: Path, pixels: str, is_read: bool) -> None:
    path = tmp_path / "8k.nut"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("rawvideo", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, pixels
        frame = av.VideoFrame(7680, 4320, pixels)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    if is_read:
        with open_video(path) as video:
            assert [picture.rgb.shape for picture in video] == [(2160, 3840, 3)]
    else:
        with pytest.raises(VideoError, match="7680x4320"):
            open_video(path)


def test_a_part_has_the_same_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    with open_video(path) as video:
        whole = {picture.time: picture.rgb for picture in video}
    with open_video(path) as video:
        part = {picture.time: picture.rgb for picture in video.read_between(Fraction(1), Fraction(3, 2))}
    assert list(part) == [time for time in whole if 1 <= time < Fraction(3, 2)]
    assert all(np.array_equal(part[time], whole[time]) for time in part)


def test_parts_follow_each_other_in_one_reader(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "a.mp4")) as video:
        for start in (Fraction(0), Fraction(36, 25), Fraction(12, 25), Fraction(40, 25)):
            times = [shown.time for shown in video.read_between(start, start + Fraction(2, 5))]
            assert times == [start + Fraction(k, 25) for k in range(10)]


def test_finds_when_the_sound_begins(tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "a.wav", pulse(48_000, 2.0), 48_000)
    assert find_sound_start(write_video(tmp_path / "a.mp4", sound=wav)) == 0
    assert find_sound_start(write_video(tmp_path / "silent.mp4")) is None


@pytest.mark.parametrize("what", ["missing", "folder", "text", "sound"])
def test_what_is_no_video_is_reported_in_one_line(tmp_path: Path, what: str) -> None:
    path = tmp_path / "it.mp4"
    if what == "folder":
        path.mkdir()
    elif what == "text":
        path.write_text("no video at all")
    elif what == "sound":
        path = write_wav(tmp_path / "it.wav", pulse(16_000), 16_000)
    with pytest.raises(VideoError) as error:
        open_video(path)
    assert error.value.remedy
    assert "\n" not in str(error.value)

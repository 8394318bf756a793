"""The mp4 has exactly the frames, colours and sound that were written, or does not exist."""

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from audio.sounds import burst_time, encode, noise, pulse, write_wav
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import AudioError, OptionError, OutputError
from liveavatar.timeline import Timeline
from liveavatar.video.sound_source import is_copyable_sound
from liveavatar.video.writer import VideoWriter

RATES = [Fraction(16), Fraction(24), Fraction(25), Fraction(30), Fraction(30_000, 1_001)]
SIZE = (64, 48)


def grey_picture(value: int) -> NDArray[np.uint8]:
    return np.full((SIZE[1], SIZE[0], 3), value, np.uint8)


def write_video(
    path: Path,
    count: int,
    fps: Fraction = RATES[2],
    sound: Path | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    with VideoWriter(path, fps, SIZE, sound, metadata) as writer:
        for index in range(count):
            writer.write(grey_picture(index * 7 % 256))
    return path


def read_times(path: Path) -> list[Fraction]:
    """When every picture of a file is shown, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        return [(frame.pts or 0) * stream.time_base for frame in container.decode(stream)]


def read_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    with open_audio(path) as stream:
        return np.concatenate([chunk.samples for chunk in stream]), stream.info.rate


def contains_only(folder: Path, *names: str) -> bool:
    return sorted(entry.name for entry in folder.iterdir()) == sorted(names)


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("count", [1, 2, 77])
def test_every_frame_is_there_at_its_exact_time(tmp_path: Path, fps: Fraction, count: int) -> None:
    path = write_video(tmp_path / "a.mp4", count, fps)
    assert read_times(path) == [index / fps for index in range(count)]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == fps
        assert stream.duration is not None and stream.time_base is not None  # noqa: PT018
        assert stream.duration * stream.time_base == count / fps
    assert contains_only(tmp_path, "a.mp4")


def test_the_index_is_in_front(tmp_path: Path) -> None:
    data = write_video(
        tmp_path / "a.mp4", 5, sound=write_wav(tmp_path / "a.wav", noise(16_000, 1), 16_000)
    ).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_it_is_h264_with_colour_tags(tmp_path: Path) -> None:
    with av.open(str(write_video(tmp_path / "a.mp4", 3))) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (
            1,
            1,
            1,
            1,
        )


def test_colours_survive(tmp_path: Path) -> None:
    colours = [(224, 172, 150), (40, 60, 200), (250, 250, 250), (10, 120, 30)]
    rgb = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for index, colour in enumerate(colours):
        rgb[:, index * 16 : index * 16 + 16] = colour
    with VideoWriter(tmp_path / "a.mp4", Fraction(25), SIZE) as writer:
        for _ in range(5):
            writer.write(rgb)
    with av.open(str(tmp_path / "a.mp4")) as container:
        planes = next(container.decode(video=0)).to_ndarray()
    luma = (planes[: SIZE[1]].astype(float) - 16) / 219
    blue, red = (planes[SIZE[1] :].reshape(2, SIZE[1] // 2, SIZE[0] // 2).astype(float) - 128) / 224
    for index, colour in enumerate(colours):
        y = luma[8:-8, index * 16 + 4 : index * 16 + 12].mean()
        cb, cr = (plane[4:-4, index * 8 + 2 : index * 8 + 6].mean() for plane in (blue, red))
        decoded = [y + 1.5748 * cr, y - 0.1873 * cb - 0.4681 * cr, y + 1.8556 * cb]  # BT.709
        assert np.abs(255 * np.array(decoded) - colour).max() <= 2


def test_the_caller_may_reuse_its_picture(tmp_path: Path) -> None:
    rgb = grey_picture(0)
    with VideoWriter(tmp_path / "a.mp4", Fraction(25), SIZE) as writer:
        for value in (20, 120, 220):
            rgb[:] = value
            writer.write(rgb)
    with av.open(str(tmp_path / "a.mp4")) as container:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert np.abs(np.array(means) - [20, 120, 220]).max() < 3


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "channels", "copied"),
    [
        ("wav", "pcm_s16le", 16_000, 1, False),
        ("wav", "pcm_s16le", 44_100, 2, False),
        ("wav", "pcm_s24le", 48_000, 6, False),
        ("wav", "pcm_s16le", 8_000, 1, False),
        ("mp3", "libmp3lame", 44_100, 2, False),
        ("webm", "libopus", 48_000, 1, False),
        ("mkv", "aac", 44_100, 1, False),
        ("m4a", "aac", 44_100, 2, True),
        ("mp4", "aac", 24_000, 1, True),
    ],
)
def test_the_sound_keeps_time_rate_and_channels(
    tmp_path: Path, suffix: str, codec: str, rate: int, channels: int, copied: bool
) -> None:
    kind = "s32" if codec == "pcm_s24le" else None
    sound = encode(tmp_path / f"a.{suffix}", pulse(rate, 1.3, 0.7, channels), rate, codec, kind)
    assert is_copyable_sound(sound) == copied
    count = Timeline(fps=Fraction(25), rate=rate).frame_count(len(read_sound(sound)[0]))
    samples, output_rate = read_sound(write_video(tmp_path / "out.mp4", count, sound=sound))
    assert (output_rate, samples.shape[1]) == (rate, channels)
    assert abs(burst_time(samples, rate) - 0.7) < 1.5 / rate
    assert abs(len(samples) - len(read_sound(sound)[0])) <= (1024 if copied else 0)


def test_copied_sound_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    sound = encode(tmp_path / "a.m4a", noise(44_100, 2.0), 44_100, "aac")
    samples, _ = read_sound(write_video(tmp_path / "out.mp4", 50, sound=sound))
    assert np.array_equal(samples, read_sound(sound)[0])


def test_a_rate_that_aac_lacks_is_resampled_in_place(tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "a.wav", pulse(192_000, 1.0, 0.4), 192_000)
    samples, rate = read_sound(write_video(tmp_path / "out.mp4", 25, sound=sound))
    assert rate == 48_000
    assert abs(burst_time(samples, rate) - 0.4) < 1 / rate
    assert len(samples) == 48_000


@pytest.mark.parametrize("suffix", ["wav", "m4a"])
def test_sound_beyond_the_last_frame_is_cut(tmp_path: Path, suffix: str) -> None:
    sound = encode(
        tmp_path / f"a.{suffix}", noise(16_000, 3.0), 16_000, "aac" if suffix == "m4a" else "pcm_s16le"
    )
    samples, _ = read_sound(write_video(tmp_path / "out.mp4", 30, sound=sound))
    assert 0 <= len(samples) - 1.2 * 16_000 < (1024 if suffix == "m4a" else 1)


def test_sound_shorter_than_the_pictures_just_ends(tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "a.wav", noise(16_000, 0.5), 16_000)
    path = write_video(tmp_path / "out.mp4", 50, sound=sound)
    assert len(read_times(path)) == 50
    assert len(read_sound(path)[0]) == 8_000


def test_a_gap_in_the_sound_keeps_its_time(tmp_path: Path) -> None:
    """An mp4 whose AAC stamps leave a hole is encoded again, with the silence in it."""
    whole = encode(
        tmp_path / "a.m4a", pulse(16_000, 2.0, 0.5) + pulse(16_000, 2.0, 1.5) * np.float32(0.5), 16_000, "aac"
    )
    path = tmp_path / "hole.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is None:
                continue
            if packet.pts is not None and packet.pts >= 16_384:
                packet.pts += 8_000
                packet.dts = packet.pts
            packet.stream = stream
            target.mux(packet)
    assert not is_copyable_sound(path)
    samples, rate = read_sound(write_video(tmp_path / "out.mp4", 63, sound=path))
    assert abs(burst_time(samples[: 24_000 - 8_000], rate) - 0.5) < 2 / rate
    assert abs(burst_time(samples[24_000:], rate) - 0.5) < 2 / rate


def test_sound_and_pictures_lie_side_by_side(tmp_path: Path) -> None:
    """So that a player and this program need little memory: no two seconds of one without the other."""
    sound = write_wav(tmp_path / "a.wav", noise(16_000, 20), 16_000)
    path = write_video(tmp_path / "out.mp4", 500, sound=sound)
    with av.open(str(path)) as container:
        packets = sorted(
            (packet.pos, packet.stream.type, float(packet.pts * packet.time_base))
            for packet in container.demux()
            if packet.pos is not None and packet.pts is not None
        )
    latest = {"video": 0.0, "audio": 0.0}
    for _, kind, time in packets:
        latest[kind] = time
        assert abs(latest["video"] - latest["audio"]) < 2.5


def test_metadata_becomes_tags(tmp_path: Path) -> None:
    tags = {"comment": "made by a program", "liveavatar": '{"level": "näher"}'}
    with av.open(str(write_video(tmp_path / "a.mp4", 2, metadata=tags))) as container:
        assert tags.items() <= container.metadata.items()


def test_an_old_file_is_replaced_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with VideoWriter(path, Fraction(25), SIZE) as writer:
        writer.write(grey_picture(0))
        assert path.read_bytes() == b"old"
    assert len(read_times(path)) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_nothing_is_left_when_the_block_fails(tmp_path: Path, error: type[BaseException]) -> None:
    sound = write_wav(tmp_path / "a.wav", noise(16_000, 2), 16_000)
    (tmp_path / "out.mp4").write_bytes(b"old")

    def fail() -> None:
        with VideoWriter(tmp_path / "out.mp4", Fraction(25), SIZE, sound) as writer:
            for _ in range(40):
                writer.write(grey_picture(3))
            raise error

    with pytest.raises(error):
        fail()
    assert contains_only(tmp_path, "a.wav", "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("video-encoder")]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Files of this process may not grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("count", [1, 60])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, share: float, count: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (count, SIZE[1], SIZE[0], 3), np.uint8)

    def fill() -> None:
        with VideoWriter(tmp_path / "out.mp4", Fraction(25), SIZE) as writer:
            for rgb in pictures:
                writer.write(rgb)

    fill()
    size = (tmp_path / "out.mp4").stat().st_size
    (tmp_path / "out.mp4").unlink()
    with (
        file_size_limit(int(size * share)),
        pytest.raises(
            OutputError, match=r"out.mp4 cannot be written: the file may not grow .*; raise the limit"
        ),
    ):
        fill()
    assert contains_only(tmp_path)


def test_a_full_device_is_named() -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_video(Path("/proc/liveavatar.mp4"), 1)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="the folder may not be written; choose another folder"):
        write_video(tmp_path / "a.mp4", 1)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder .*absent; create it first"):
        write_video(tmp_path / "absent" / "a.mp4", 1)


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"is a folder; name a file in it"):
        write_video(tmp_path, 1)


def test_a_video_without_frames_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="would have no frames"):
        write_video(tmp_path / "a.mp4", 0)
    assert contains_only(tmp_path)


def test_bad_sound_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="there is no file"):
        write_video(tmp_path / "a.mp4", 1, sound=tmp_path / "absent.wav")
    assert contains_only(tmp_path)


@pytest.mark.parametrize("size", [(63, 48), (64, 47), (0, 48), (-2, 2)])
def test_odd_sizes_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match="use even numbers"):
        VideoWriter(tmp_path / "a.mp4", Fraction(25), size)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="must be uint8"),
        VideoWriter(tmp_path / "a.mp4", RATES[0], SIZE) as writer,
    ):
        writer.write(np.zeros((10, 10, 3), np.uint8))
    assert contains_only(tmp_path)


def test_samples_that_are_not_numbers_are_written_as_silence(tmp_path: Path) -> None:
    sound = noise(16_000, 1)
    sound[5_000:5_010] = np.nan
    path = encode(tmp_path / "a.wav", sound, 16_000, "pcm_f32le")
    assert np.isfinite(read_sound(write_video(tmp_path / "out.mp4", 25, sound=path))[0]).all()


def test_the_terminal_stays_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "a.mp4", 30, sound=write_wav(tmp_path / "a.wav", noise(8_000, 1), 8_000))
    assert capfd.readouterr() == ("", "")

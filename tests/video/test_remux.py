"""The sound shifts by the requested lag; the packets of the pictures do not change."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from audio.sounds import encode, noise, write_wav
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import OutputError, VideoError
from liveavatar.video import remux
from liveavatar.video.reader import open_video
from liveavatar.video.remux import shift_sound
from liveavatar.video.writer import VideoWriter
from video.clips import CLICK_SECONDS, FPS, count_packets, write_clip

RATE = 48_000
CLICKS = (1.0, 2.0, 3.0)


def encode_clip(folder: Path, rate: int) -> Path:
    """A second of noise at `rate` Hz as FLAC under H.264."""
    sound = encode(folder / "a.flac", 0.1 * noise(rate, 1.0), rate, "flac", "s16")
    pictures = folder / "pictures.mp4"
    with VideoWriter(pictures, Fraction(25), (64, 48)) as writer:
        for _ in range(25):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    path = folder / "clip.mkv"
    with av.open(str(pictures)) as video, av.open(str(sound)) as audio, av.open(str(path), "w") as target:
        sources = ((video, video.streams.video[0]), (audio, audio.streams.audio[0]))
        copies = [target.add_stream_from_template(stream) for _, stream in sources]
        for (source, stream), copy in zip(sources, copies, strict=True):
            for packet in source.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    target.mux(packet)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Four seconds with a click at 1, 2 and 3 s."""
    sound = 0.003 * noise(RATE, 4.0)
    for at in CLICKS:
        sound[round(at * RATE) - 24 : round(at * RATE) + 24] = 0.8
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, Fraction(25), (64, 48), write_wav(tmp_path / "a.wav", sound, RATE)) as writer:
        for index in range(100):
            writer.write(np.full((48, 64, 3), 2 * index, np.uint8))
    return path


def find_clicks(path: Path) -> list[float]:
    """Times of the clicks in seconds, on the clock of the pictures."""
    with open_audio(path) as stream:
        sound = np.abs(np.concatenate([chunk.samples[:, 0] for chunk in stream]))
    loud = np.flatnonzero(sound > 0.3)
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > RATE // 10) + 1)
    return [float(run.mean()) / RATE for run in runs]


def hash_pictures(path: Path) -> list[tuple[Fraction, str]]:
    with av.open(str(path)) as container:
        return [
            ((packet.pts or 0) * (packet.time_base or Fraction(1)), hashlib.sha256(bytes(packet)).hexdigest())
            for packet in container.demux(video=0)
            if packet.size
        ]


@pytest.mark.parametrize("lag", [-0.4, -0.0333, 0.0, 0.02, 0.4])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_shifts_the_sound(clip: Path, tmp_path: Path, lag: float, suffix: str) -> None:
    output = tmp_path / f"out{suffix}"
    shift_sound(clip, output, lag)
    np.testing.assert_allclose(find_clicks(output), [at - lag for at in CLICKS], atol=0.001)


@pytest.mark.parametrize("slope", [-0.05, 0.005, 0.05])
def test_removes_a_drift(clip: Path, tmp_path: Path, slope: float) -> None:
    output = tmp_path / "out.mp4"
    shift_sound(clip, output, 0.1, slope)
    np.testing.assert_allclose(find_clicks(output), [(at - 0.1) / (1 + slope) for at in CLICKS], atol=0.001)


@pytest.mark.parametrize(("rate", "output_rate"), [(96_000, 96_000), (88_200, 88_200), (192_000, 48_000)])
def test_keeps_the_rates_that_aac_has(tmp_path: Path, rate: int, output_rate: int) -> None:
    clip = encode_clip(tmp_path, rate)
    shift_sound(clip, tmp_path / "out.mp4", 0.1)
    with open_audio(tmp_path / "out.mp4") as stream:
        assert stream.info.rate == output_rate


def test_does_not_change_the_pictures(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    shift_sound(clip, output, 0.25)
    assert hash_pictures(output) == hash_pictures(clip)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.wav", "clip.mp4", "out.mp4"]


def test_a_refusal_leaves_no_file(clip: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    with VideoWriter(silent, Fraction(25), (64, 48)) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
    before = sorted(tmp_path.iterdir())
    for name in ("out.avi", "out.txt", "out", "out.mp4.part"):
        with pytest.raises(OutputError, match="does not end like a video"):
            shift_sound(clip, tmp_path / name, 0.1)
    with pytest.raises(OutputError, match="is the video itself"):
        shift_sound(clip, clip, 0.1)
    with pytest.raises(VideoError):
        shift_sound(silent, tmp_path / "out.mp4", 0.1)
    with pytest.raises(OutputError):
        shift_sound(clip, tmp_path / "nowhere" / "out.mp4", 0.1)
    assert sorted(tmp_path.iterdir()) == before


# Other people's files

FOREIGN = [
    ("matroska", "libx264", "aac"),
    ("mpegts", "libx264", "aac"),
    ("avi", "libx264", "mp3"),
    ("avi", "mpeg4", "mp3"),
    ("mp4", "libx264", "aac"),
]


@pytest.mark.parametrize(("container", "codec", "sound"), FOREIGN)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_no_picture_of_a_foreign_file_is_lost(
    tmp_path: Path, container: str, codec: str, sound: str, suffix: str
) -> None:
    start = 1.4 if container == "mpegts" else 0.0
    source = write_clip(tmp_path / "clip.bin", container, codec=codec, sound=sound, start=start)
    shift_sound(source, output := tmp_path / f"out{suffix}", 0.2)
    assert count_packets(output) == count_packets(source) == 75
    with open_video(output) as video:
        shown = [(picture.time, round(picture.rgb.mean() / 3)) for picture in video]
    assert [time * FPS for time, _ in shown] == list(range(75))
    np.testing.assert_allclose([grey for _, grey in shown], range(75), atol=2)
    begin = 0.024 if sound == "mp3" else 0.0  # the delay of the mp3 encoder, which AVI does not state
    np.testing.assert_allclose(find_clicks(output), [at - 0.2 + begin for at in CLICK_SECONDS], atol=0.002)


def test_what_an_edit_list_cuts_off_stays_cut_off(tmp_path: Path) -> None:
    source = tmp_path / "cut.mp4"
    with (
        av.open(str(write_clip(tmp_path / "whole.mp4", "mp4"))) as whole,
        av.open(str(source), "w", container_options={"avoid_negative_ts": "disabled"}) as cut,
    ):
        copies = {stream.index: cut.add_stream_from_template(stream) for stream in whole.streams}
        for packet in whole.demux():
            if packet.size and packet.pts is not None and packet.dts is not None:
                if packet.stream.type == "video":
                    packet.pts -= round(Fraction(10, FPS) / packet.time_base)
                    packet.dts -= round(Fraction(10, FPS) / packet.time_base)
                packet.stream = copies[packet.stream.index]
                cut.mux(packet)
    shift_sound(source, tmp_path / "out.mp4", 0.2)
    assert count_packets(tmp_path / "out.mp4") == 75
    with open_video(tmp_path / "out.mp4") as video:
        shown = [(picture.time * FPS, round(picture.rgb.mean() / 3)) for picture in video]
    assert [time for time, _ in shown] == list(range(65))
    np.testing.assert_allclose([grey for _, grey in shown], range(10, 75), atol=2)
    np.testing.assert_allclose(find_clicks(tmp_path / "out.mp4"), [0.8, 1.8], atol=0.002)
    with pytest.raises(OutputError, match="edit list"):
        shift_sound(source, tmp_path / "out.mkv", 0.2)


@pytest.mark.parametrize("layout", ["mono", "stereo", "quad", "5.1"])
def test_rate_and_channels_are_kept(tmp_path: Path, layout: str) -> None:
    source = write_clip(tmp_path / "clip.mkv", "matroska", layout=layout)
    shift_sound(source, tmp_path / "out.mp4", 0.1)
    with open_audio(source) as before, open_audio(tmp_path / "out.mp4") as after:
        assert (after.info.rate, after.info.channels) == (before.info.rate, before.info.channels)


def test_another_file_is_not_replaced(clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(b"somebody's film")
    with pytest.raises(OutputError, match="exists"):
        shift_sound(clip, other, 0.1)
    (tmp_path / "link.mp4").symlink_to(clip)
    before = clip.read_bytes()
    with pytest.raises(OutputError, match="is the video itself"):
        shift_sound(clip, tmp_path / "link.mp4", 0.1)
    assert other.read_bytes() == b"somebody's film"
    assert clip.read_bytes() == before


def test_a_copy_that_lacks_pictures_gets_no_name(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = remux._stamp_packets
    monkeypatch.setattr(
        remux,
        "_stamp_packets",
        lambda packets, times: (p for p in original(packets, times) if not p.is_keyframe),
    )
    before = sorted(tmp_path.iterdir())
    with pytest.raises(VideoError, match="without a loss"):
        shift_sound(clip, tmp_path / "out.mp4", 0.1)
    assert sorted(tmp_path.iterdir()) == before

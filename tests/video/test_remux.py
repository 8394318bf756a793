"""The sound shifts by the requested lag; the packets of the pictures do not change."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from audio.sounds import encode, noise, write_wav
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import OptionError, OutputError, VideoError
from liveavatar.video.remux import shift_sound
from liveavatar.video.writer import VideoWriter

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
    with pytest.raises(OptionError):
        shift_sound(clip, tmp_path / "out.avi", 0.1)
    with pytest.raises(OptionError):
        shift_sound(clip, clip, 0.1)
    with pytest.raises(VideoError):
        shift_sound(silent, tmp_path / "out.mp4", 0.1)
    with pytest.raises(OutputError):
        shift_sound(clip, tmp_path / "nowhere" / "out.mp4", 0.1)
    assert sorted(tmp_path.iterdir()) == before

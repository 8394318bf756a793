"""Guesses of a duration, clocks that start late and placeholders are no announcements; headers are."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from audio.sounds import babble, encode, noise, write_wav
from liveavatar.audio.analysis.rules import find_blocking_finding
from liveavatar.audio.front_end import check_recording
from liveavatar.audio.io.decode import open_audio
from liveavatar.audio.io.riff import read_wave_duration


def announced(path: Path) -> Fraction | None:
    with open_audio(path) as stream:
        return stream.info.container_duration


def shift_clock(source: Path, target: Path, seconds: float) -> Path:
    """Copy a file with its clock starting at `seconds`."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        track = given.streams.audio[0]
        copy = output.add_stream_from_template(track)
        for packet in given.demux(track):
            if packet.dts is None:
                continue
            packet.pts = (packet.pts or 0) + round(seconds / packet.time_base)
            packet.dts = packet.pts
            packet.stream = copy
            output.mux(packet)
    return target


@pytest.mark.parametrize(
    "size", [0x7FFFFF9B, 0x7FFFFFFF - 36, 0xFFFFFFFF - 36, 0x10000000, 0x80000000, 0xFFFFFFFE]
)
def test_a_placeholder_size_is_no_announcement(tmp_path: Path, size: int) -> None:
    path = write_wav(tmp_path / "a.wav", babble(24_000, 2.0), 24_000)
    data = bytearray(path.read_bytes())
    data[4:8], data[40:44] = struct.pack("<I", (size + 36) & 0xFFFFFFFF), struct.pack("<I", size)
    path.write_bytes(bytes(data))
    report = check_recording(path)
    assert report.info.container_duration is None
    assert report.duration == 2
    assert not {"length", "header"} & {finding.name for finding in report.remaining_findings}


def test_a_large_truncated_wave_still_announces_its_duration(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(16_000, 0.1), 16_000)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", 1 << 30)
    with path.open("wb") as file:
        file.write(data)
        file.truncate(1 << 29)
    assert read_wave_duration(path) == Fraction(1 << 30, 32_000)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        ("aac", "aac", 44_100),
        ("ac3", "ac3", 48_000),
        ("ts", "aac", 16_000),
        ("amr", "libopencore_amrnb", 8_000),
    ],
)
def test_a_format_without_a_duration_announces_none(
    tmp_path: Path, suffix: str, codec: str, rate: int
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg cannot write {codec}")
    assert announced(encode(tmp_path / f"a.{suffix}", babble(rate, 1.0), rate, codec)) is None


def test_an_mp3_announces_a_duration_only_with_an_information_frame(tmp_path: Path) -> None:
    """Without one FFmpeg divides by the bit rate of the first frames, which of a variable one is any."""
    sound = np.concatenate([babble(44_100, 1.0, level=1e-4), babble(44_100, 3.0)])
    path = encode(tmp_path / "a.mp3", sound, 44_100, "libmp3lame", options={"write_xing": "0", "q": "7"})
    assert announced(path) is None
    path = encode(tmp_path / "b.mp3", sound, 44_100, "libmp3lame")
    assert announced(path) == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize(("suffix", "codec"), [("ogg", "libopus"), ("mka", "libopus"), ("webm", "libopus")])
def test_a_clock_that_starts_late_is_no_announcement(tmp_path: Path, suffix: str, codec: str) -> None:
    path = encode(tmp_path / f"a.{suffix}", babble(48_000, 2.0), 48_000, codec)
    late = shift_clock(path, tmp_path / f"late.{suffix}", 0.86)
    report = check_recording(late)
    assert report.duration == pytest.approx(2, abs=0.03)
    assert not {"length", "header", "gaps"} & {finding.name for finding in report.remaining_findings}


def test_an_estimate_by_the_size_of_a_matroska_file_is_no_announcement(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mka", noise(16_000, 2.0), 16_000, "pcm_s16le", options={"live": "1"})
    assert announced(path) is None


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        ("m4a", "aac", 44_100),
        ("flac", "flac", 16_000),
        ("aiff", "pcm_s16be", 16_000),
        ("mka", "libopus", 48_000),
    ],
)
def test_a_header_announces_its_duration(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    path = encode(tmp_path / f"a.{suffix}", babble(rate, 2.0), rate, codec)
    assert announced(path) == pytest.approx(2, abs=0.1)


def test_strict_accepts_a_recording_without_an_announcement(tmp_path: Path, speech: np.ndarray) -> None:
    path = write_wav(tmp_path / "a.wav", speech[:, None], 16_000)
    data = bytearray(path.read_bytes())
    data[4:8], data[40:44] = struct.pack("<I", 0x7FFFFFBF), struct.pack("<I", 0x7FFFFF9B)
    path.write_bytes(bytes(data))
    assert find_blocking_finding(check_recording(path)) is None

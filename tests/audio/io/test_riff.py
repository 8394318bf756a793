"""The declared duration of a WAV is read from its header, also from a truncated file."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from audio.sounds import encode, noise, write_wav
from liveavatar.audio.front_end import check_recording
from liveavatar.audio.io.riff import build_wave_header, read_wave_duration


@pytest.mark.parametrize("keep", [44 + 2, 1_000, 20_000])
def test_a_truncated_wav_has_its_declared_duration(tmp_path: Path, keep: int) -> None:
    path = write_wav(tmp_path / "a.wav", noise(16_000, 1.5), 16_000)
    path.write_bytes(path.read_bytes()[:keep])
    assert read_wave_duration(path) == Fraction(3, 2)


def test_a_truncated_wav_is_a_bad_finding(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(16_000, 4), 16_000)
    assert "length" not in {finding.name for finding in check_recording(path).remaining_findings}
    path.write_bytes(path.read_bytes()[:64_044])
    [finding] = [finding for finding in check_recording(path).findings if finding.name == "length"]
    assert finding.level == "bad"
    assert finding.sentence == "it holds 2.0 s of the 4.0 s it announces"


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le", "pcm_f32le"])
@pytest.mark.parametrize("rf64", ["never", "always"])
def test_the_duration_is_right_for_every_sample_format(tmp_path: Path, codec: str, rf64: str) -> None:
    path = encode(tmp_path / "a.wav", noise(44_100, 0.5, 2), 44_100, codec, options={"rf64": rf64})
    assert read_wave_duration(path) == Fraction(1, 2)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_an_unknown_size_gives_no_duration(tmp_path: Path, size: int) -> None:
    path = write_wav(tmp_path / "a.wav", noise(16_000, 1), 16_000)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", size)
    path.write_bytes(bytes(data))
    assert read_wave_duration(path) is None


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEdata\1\0\0\0x", b"x" * 99]
)
def test_a_damaged_header_gives_no_duration(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert read_wave_duration(tmp_path / "a.wav") is None


def test_our_header_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(build_wave_header(16_000, 16_000) + np.zeros(16_000, "<i2").tobytes())
    report = check_recording(path)
    assert (report.sample_count, report.info.rate) == (16_000, 16_000)
    assert report.info.container_duration == Fraction(1)


def test_over_4_gib_the_header_is_rf64(tmp_path: Path) -> None:
    """The file is sparse: only its header and its last block exist."""
    path, samples = tmp_path / "long.wav", 3 << 30
    with path.open("wb") as file:
        file.write(build_wave_header(samples, 16_000))
        file.truncate(len(build_wave_header(samples, 16_000)) + 2 * samples)
    assert read_wave_duration(path) == Fraction(samples, 16_000)

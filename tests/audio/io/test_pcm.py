"""16-bit WAV gives the same samples read directly or by FFmpeg's packets."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.sounds import noise, write_wav
from liveavatar.audio.io import pcm, riff
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import AudioError


def samples(path: Path) -> NDArray[np.float32]:
    with open_audio(path) as stream:
        return np.concatenate([chunk.samples for chunk in stream])


def by_packets(path: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float32]:
    with monkeypatch.context() as patch:
        patch.setattr(riff, "find_wave_data", lambda path, part: None)
        return samples(path)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body


def with_size(size: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:40] + struct.pack("<I", size) + data[44:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    "half a sample at the end": lambda data: data[:-1],
    "cut off": lambda data: data[:3_333],
    "a chunk behind": lambda data: data + chunk(b"LIST", b"INFOISFT" + bytes(40)),
    "a chunk before": lambda data: data[:12] + chunk(b"bext", bytes(602)) + data[12:],
    "more samples behind": lambda data: data + chunk(b"data", bytes(range(200))),
    "no length": with_size(0),
    "a length nobody knew": with_size(0xFFFFFFFF),
    "too long": with_size(0x7FFFF000),
    "too short": with_size(2_000),
    "an odd length": with_size(2_001),
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_direct_reading_equals_packets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, channels: int
) -> None:
    path = write_wav(tmp_path / "a.wav", noise(16_000, 0.5, channels), 16_000)
    path.write_bytes(DAMAGE[name](path.read_bytes()))
    assert np.array_equal(samples(path), by_packets(path, monkeypatch))


def test_a_long_file_is_read_in_blocks(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(16_000, 1, 2), 16_000)
    place = riff.find_wave_data(path)
    assert place == range(44, 44 + 64_000)
    pieces = list(pcm.read_pcm16(path, place, channels=2, block_samples=5_000))
    assert [len(piece) for piece in pieces] == [5_000, 5_000, 5_000, 1_000]
    assert np.array_equal(np.concatenate(pieces), samples(path))


def test_a_file_that_shrinks_or_vanishes_while_read(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(16_000, 1), 16_000)
    place = riff.find_wave_data(path)
    assert place is not None
    path.write_bytes(path.read_bytes()[:10_045])
    assert sum(map(len, pcm.read_pcm16(path, place, channels=1, block_samples=4_000))) == 5_000
    path.unlink()
    with pytest.raises(AudioError, match="cannot be read any more; start again"):
        next(pcm.read_pcm16(path, place, channels=1, block_samples=4_000))


@pytest.mark.parametrize("order", [(b"data", b"fmt "), (b"data",), (b"fmt ", b"fmt ", b"data"), (b"fmt ",)])
def test_samples_without_one_format_are_not_located(tmp_path: Path, order: tuple[bytes, ...]) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + b"".join(chunk(name, bytes(16)) for name in order))
    assert riff.find_wave_data(path) is None


def test_rf64_is_read_by_packets(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff.build_wave_header(3 << 30, 16_000) + bytes(64))
    assert riff.find_wave_data(path) is None

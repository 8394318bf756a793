"""Files that are joined in one are all used; their headers are no sound."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.sounds import babble, encode, noise, pulse, write_wav
from liveavatar.audio.analysis.rules import find_blocking_finding
from liveavatar.audio.front_end import check_recording
from liveavatar.audio.io.decode import AudioStream, open_audio
from liveavatar.audio.io.joined import find_joined_files
from liveavatar.video.sound_source import is_copyable_sound


def read(path: Path) -> tuple[NDArray[np.float32], AudioStream]:
    with open_audio(path) as stream:
        return np.concatenate([chunk.samples for chunk in stream]), stream


def with_sizes(data: bytes, size: int) -> bytes:
    """A plain WAV whose header declares `size` bytes."""
    return data[:4] + struct.pack("<I", size) + data[8:40] + struct.pack("<I", size) + data[44:]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 0x7FFFFF9B])
def test_all_samples_of_joined_waves_are_used(tmp_path: Path, channels: int, size: int | None) -> None:
    sounds = [noise(16_000, 0.3 + 0.1 * seed, channels, seed) for seed in range(4)]
    files = [write_wav(tmp_path / "part.wav", sound, 16_000).read_bytes() for sound in sounds]
    path = tmp_path / "joined.wav"
    path.write_bytes(b"".join(data if size is None else with_sizes(data, size) for data in files))
    samples, stream = read(path)
    assert np.abs(samples - np.concatenate(sounds)).max() < 1e-4
    assert stream.damage.joined_files == 4
    assert stream.info.container_duration == (None if size is not None else pytest.approx(1.8))


def test_headers_within_the_samples_of_one_wave_are_skipped(tmp_path: Path) -> None:
    """As when files are joined and a header for all of them is put in front."""
    sound = noise(16_000, 0.5)
    part = write_wav(tmp_path / "part.wav", sound, 16_000).read_bytes()
    path = tmp_path / "joined.wav"
    path.write_bytes(with_sizes(part[:44], 3 * len(part)) + 3 * part)
    samples, stream = read(path)
    assert np.abs(samples - np.concatenate([sound] * 3)).max() < 1e-4
    assert stream.damage.joined_files == 4


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_s24le", "pcm_mulaw", "pcm_u8"])
def test_joined_waves_of_any_samples_are_used(tmp_path: Path, codec: str) -> None:
    sounds = [noise(8_000, 0.3001, seed=seed) for seed in range(3)]
    data = [encode(tmp_path / "part.wav", sound, 8_000, codec).read_bytes() for sound in sounds]
    path = tmp_path / "joined.wav"
    path.write_bytes(b"".join(data))
    samples, stream = read(path)
    assert len(samples) == sum(map(len, sounds))
    assert np.abs(samples - np.concatenate(sounds)).max() < 0.02
    assert stream.damage.joined_files == 3


def test_joined_waves_of_different_rates_keep_time(tmp_path: Path) -> None:
    parts = [
        write_wav(tmp_path / f"{rate}.wav", pulse(rate, 1.0, 0.5, channels), rate).read_bytes()
        for rate, channels in ((16_000, 1), (24_000, 2), (8_000, 1))
    ]
    path = tmp_path / "joined.wav"
    path.write_bytes(b"".join(parts))
    samples, stream = read(path)
    assert len(samples) == 48_000
    for middle in (8_000, 24_000, 40_000):
        span = np.abs(samples[middle - 4_000 : middle + 4_000, 0])
        assert abs(int(span.argmax()) - 4_000) < 20
    assert stream.damage.repairs.clock_jumps == 0


def test_joined_waves_are_said_in_one_line_and_refused_by_strict(tmp_path: Path) -> None:
    part = write_wav(tmp_path / "part.wav", babble(16_000, 1.5), 16_000).read_bytes()
    path = tmp_path / "joined.wav"
    path.write_bytes(part + part)
    report = check_recording(path)
    assert report.fixes[0] == "the headers of 2 files joined in it are skipped, and all 3.0 s are used"
    blocking = find_blocking_finding(report)
    assert blocking is not None
    assert (blocking.name, blocking.sentence) == ("joined", "it is 2 files joined in one")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("flac", "flac"),
        ("oga", "flac"),
        ("au", "pcm_s16be"),
        ("aiff", "pcm_s16be"),
        ("caf", "pcm_s16le"),
        ("w64", "pcm_s16le"),
        ("tta", "tta"),
        ("mka", "pcm_s16le"),
    ],
)
def test_joined_files_of_lossless_formats_are_used_exactly(tmp_path: Path, name: str, codec: str) -> None:
    """Also if rate and channels change."""
    sounds = [noise(16_000, 0.4, 1, 1), noise(16_000, 0.7, 2, 2), noise(8_000, 0.5, 1, 3)]
    rates = [16_000, 16_000, 8_000]
    parts = [
        encode(tmp_path / f"{number}.{name}", sound, rate, codec).read_bytes()
        for number, (sound, rate) in enumerate(zip(sounds, rates, strict=True))
    ]
    path = tmp_path / f"joined.{name}"
    path.write_bytes(b"".join(parts))
    samples, stream = read(path)
    assert len(samples) == round(1.6 * 16_000)
    mono = np.concatenate([sounds[0][:, 0], sounds[1].mean(axis=1)])
    assert np.abs(samples[: len(mono), 0] - mono).max() < 5e-3  # half a step of 8 bits, of TTA
    assert (stream.damage.joined_files, stream.damage.corrupt_packets) == (3, 0)
    assert stream.damage.repairs.clock_jumps == 0


@pytest.mark.parametrize(("name", "codec"), [("opus", "libopus"), ("m4a", "aac"), ("webm", "libopus")])
def test_joined_files_of_codecs_with_a_delay_keep_time(tmp_path: Path, name: str, codec: str) -> None:
    part = encode(tmp_path / f"part.{name}", pulse(48_000, 1.0), 48_000, codec).read_bytes()
    path = tmp_path / f"joined.{name}"
    path.write_bytes(part * 3)
    samples, stream = read(path)
    assert len(samples) / 48_000 == pytest.approx(3, abs=0.05)
    length = len(samples) // 3
    for number in range(3):
        middle = int(np.abs(samples[number * length :][:length]).max(axis=1).argmax())
        assert middle / 48_000 == pytest.approx(0.5, abs=0.01)
    assert stream.damage.joined_files == 3
    assert stream.info.container_duration is None


@pytest.mark.parametrize(("name", "codec", "is_usual"), [("flac", "flac", False), ("ogg", "flac", True)])
def test_only_chains_of_ogg_are_usual(tmp_path: Path, name: str, codec: str, is_usual: bool) -> None:
    part = encode(tmp_path / f"part.{name}", babble(16_000, 1.5), 16_000, codec).read_bytes()
    path = tmp_path / f"joined.{name}"
    path.write_bytes(part * 2)
    report = check_recording(path)
    level = next(finding.level for finding in report.findings if finding.name == "joined")
    assert level == ("ok" if is_usual else "warn")
    assert not {"header", "clock"} & {finding.name for finding in report.findings}


def test_the_sound_of_joined_mp4_files_is_not_copied(tmp_path: Path) -> None:
    part = encode(tmp_path / "part.m4a", pulse(48_000), 48_000, "aac")
    path = tmp_path / "joined.m4a"
    path.write_bytes(part.read_bytes() * 2)
    assert is_copyable_sound(part)
    assert not is_copyable_sound(path)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_joined_mp3_files_have_no_padding_between_them(tmp_path: Path, rate: int, channels: int) -> None:
    """Each part declares its own delay and padding, so the bursts keep their times."""
    part = encode(tmp_path / "part.mp3", pulse(rate, 1.0, 0.5, channels), rate, "libmp3lame").read_bytes()
    path = tmp_path / "joined.mp3"
    path.write_bytes(part * 3)
    samples, stream = read(path)
    assert len(samples) == 3 * rate
    for second in range(3):
        assert abs(int(np.abs(samples[second * rate :][:rate, 0]).argmax()) - rate // 2) < rate // 1000
    assert (stream.damage.joined_files, stream.damage.corrupt_packets) == (3, 0)


def test_joined_mp3_files_need_no_advice(tmp_path: Path) -> None:
    part = encode(tmp_path / "part.mp3", babble(16_000, 1.5), 16_000, "libmp3lame").read_bytes()
    path = tmp_path / "joined.mp3"
    path.write_bytes(part * 2)
    report = check_recording(path)
    sentences = {finding.name: finding.sentence for finding in report.findings}
    assert sentences["joined"] == "it is 2 files joined in one"
    assert not {"joined", "length", "header", "packets", "gaps", "clock"} & {
        finding.name for finding in report.remaining_findings
    }


@pytest.mark.parametrize(
    "damage", [b"RIFF\0\0\0\0WAVEfmt ", b"RIFF" * 30, b"RIFF\0\0\0\0WAVEfmt " + bytes(20)]
)
def test_what_only_looks_like_a_header_is_sound(tmp_path: Path, damage: bytes) -> None:
    path = write_wav(tmp_path / "a.wav", noise(16_000, 0.3), 16_000)
    data = bytearray(path.read_bytes())
    data[1_001 : 1_001 + len(damage)] = damage
    path.write_bytes(bytes(data))
    assert len(find_joined_files(path, "wav")) == 1


def test_headers_across_blocks_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [write_wav(tmp_path / "part.wav", noise(16_000, 0.3), 16_000).read_bytes()] * 3
    path = tmp_path / "joined.wav"
    path.write_bytes(b"".join(parts))
    for size in range(len(parts[0]) - 70, len(parts[0]) + 70, 7):
        monkeypatch.setattr("liveavatar.audio.io.joined._BLOCK_BYTES", size)
        starts = [part.start for part in find_joined_files(path, "wav")]
        assert starts == [0, len(parts[0]), 2 * len(parts[0])]

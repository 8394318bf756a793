"""Every format is decoded at the right time; every kind of bad file has its own error."""

import contextlib
import struct
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from audio.sounds import babble, burst_time, encode, noise, pulse, stamped, video_without_sound, write_wav
from liveavatar.audio.front_end import check_recording
from liveavatar.audio.io.decode import AudioStream, open_audio
from liveavatar.audio.io.timestamps import TimestampRepairs
from liveavatar.errors import AudioError

EXACT = [
    ("wav", "pcm_u8", "u8", 1 / 127),
    ("wav", "pcm_s16le", "s16", 1 / 32767),
    ("wav", "pcm_s24le", "s32", 1e-6),
    ("wav", "pcm_s32le", "s32", 1e-7),
    ("wav", "pcm_f32le", "flt", 0),
    ("wav", "pcm_f64le", "dbl", 0),
    ("wav", "pcm_alaw", "s16", 0.02),
    ("wav", "pcm_mulaw", "s16", 0.02),
    ("flac", "flac", "s16", 1 / 32767),
    ("flac", "flac", "s32", 1e-6),
    ("m4a", "alac", "s16p", 1 / 32767),
    ("aiff", "pcm_s16be", "s16", 1 / 32767),
]

# suffix, codec, rate, whether the container has the exact length
LOSSY = [
    ("mp3", "libmp3lame", 44_100, True),
    ("mp3", "libmp3lame", 16_000, True),
    ("m4a", "aac", 44_100, True),
    ("mp4", "aac", 48_000, True),
    ("mov", "aac", 24_000, True),
    ("mkv", "aac", 44_100, False),
    ("ogg", "libopus", 48_000, True),
    ("opus", "libopus", 48_000, True),
    ("webm", "libopus", 48_000, True),
    ("mp4", "libmp3lame", 44_100, True),
    ("mkv", "libmp3lame", 48_000, True),
    ("mp4", "libopus", 48_000, True),
]


def read(path: Path, silence_invalid: bool = False) -> tuple[NDArray[np.float32], AudioStream]:
    """All samples of a file, [n, channels], checked to be an unbroken run."""
    with open_audio(path, silence_invalid=silence_invalid) as stream:
        chunks = list(stream)
    starts = np.cumsum([0] + [len(chunk.samples) for chunk in chunks])
    assert [chunk.pts for chunk in chunks] == list(starts[:-1])
    assert {(chunk.rate, chunk.samples.dtype) for chunk in chunks} == {
        (stream.info.rate, np.dtype(np.float32))
    }
    return np.concatenate([chunk.samples for chunk in chunks]), stream


@pytest.mark.parametrize(("suffix", "codec", "kind", "error"), EXACT)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_formats_keep_every_sample(
    tmp_path: Path, suffix: str, codec: str, kind: str, error: float, channels: int
) -> None:
    sound = np.clip(noise(22_050, 2.3, channels), -0.9, 0.9)
    path = encode(tmp_path / f"a.{suffix}", sound, 22_050, codec, kind)
    samples, stream = read(path)
    assert samples.shape == sound.shape
    assert np.abs(samples - sound).max() <= error
    assert (stream.info.rate, stream.info.channels) == (22_050, channels)


@pytest.mark.parametrize(("suffix", "codec", "rate", "exact"), LOSSY)
def test_lossy_formats_keep_the_time_of_a_burst(
    tmp_path: Path, suffix: str, codec: str, rate: int, exact: bool
) -> None:
    path = encode(tmp_path / f"a.{suffix}", pulse(rate, 1.3, at=0.7), rate, codec)
    samples, _ = read(path)
    assert abs(burst_time(samples, rate) - 0.7) < 1 / rate
    if exact:
        assert len(samples) == round(1.3 * rate)


def test_surround_has_named_channels(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.wav", noise(48_000, 0.1, 6), 48_000, "pcm_s16le")
    assert read(path)[1].info.layout == ("FL", "FR", "FC", "LFE", "BL", "BR")


def test_rf64_is_read(tmp_path: Path) -> None:
    sound = noise(16_000, 0.2)
    path = encode(tmp_path / "a.wav", sound, 16_000, "pcm_f32le", options={"rf64": "always"})
    assert path.read_bytes()[:4] == b"RF64"
    assert np.array_equal(read(path)[0], sound)


def test_w64_beyond_4_gib_is_read(tmp_path: Path) -> None:
    """The file is sparse: only its header and its first and last block exist."""
    path = encode(tmp_path / "a.w64", np.full((16_000, 1), 0.5, np.float32), 16_000, "pcm_s16le")
    data, samples = bytearray(path.read_bytes()), 3 << 30
    place = data.index(b"data\xf3\xac\xd3\x11")  # a name of 16 bytes, then 8 of length, which counts both
    data[place + 16 : place + 24] = struct.pack("<Q", 24 + 2 * samples)
    data[16:24] = struct.pack("<Q", place + 24 + 2 * samples)
    with path.open("wb") as file:
        file.write(data)
        file.truncate(place + 24 + 2 * samples)
    with open_audio(path) as stream:
        assert stream.info.container_duration == Fraction(samples, 16_000)
        chunk = next(iter(stream))
    assert np.abs(chunk.samples[:16_000] - 0.5).max() < 0.001
    assert not chunk.samples[16_000:].any()


def test_64_channels_are_read(tmp_path: Path) -> None:
    samples, stream = read(write_wav(tmp_path / "a.wav", noise(8_000, 0.1, 64), 8_000))
    assert samples.shape == (800, 64)
    assert stream.info.channels == 64


@pytest.mark.parametrize("channels", [16, 24])
def test_many_channels_in_a_plane_each_are_read(tmp_path: Path, channels: int) -> None:
    sound = np.clip(noise(8_000, 0.5, channels), -0.9, 0.9)
    samples, stream = read(encode(tmp_path / "a.wv", sound, 8_000, "wavpack", "s16p"))
    assert (samples.shape, stream.info.channels) == (sound.shape, channels)
    assert np.abs(samples - sound).max() <= 2.0**-15


def test_one_sample_is_read(tmp_path: Path) -> None:
    samples, _ = read(write_wav(tmp_path / "a.wav", np.full((1, 1), 0.5, np.float32), 44_100))
    assert samples.shape == (1, 1)
    assert abs(samples[0, 0] - 0.5) < 1e-4


def test_the_sound_of_a_video_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mov", pulse(48_000), 48_000, "pcm_s16le")
    assert read(path)[1].info.container == "mov"


def test_a_gap_between_time_stamps_becomes_silence(tmp_path: Path) -> None:
    rate = 16_000
    path = stamped(
        tmp_path / "a.mkv",
        [(0, pulse(rate, 1.0, 0.2)[:, 0]), (1.5, pulse(rate)[:, 0] * np.float32(0.5))],
        rate,
    )
    samples, stream = read(path)
    assert abs(burst_time(samples[:rate], rate) - 0.2) < 1 / rate
    assert abs(burst_time(samples[rate:], rate) - 1.0) < 17 / rate  # Matroska stamps are rounded to 1 ms
    assert abs(float(stream.damage.repairs.inserted_silence) - 0.5) < 0.001
    assert abs(len(samples) - 2.5 * rate) <= 16


def test_an_overlap_is_dropped(tmp_path: Path) -> None:
    rate = 16_000
    path = stamped(tmp_path / "a.mkv", [(0, pulse(rate, 1.0, 0.2)[:, 0]), (0.8, pulse(rate)[:, 0])], rate)
    samples, stream = read(path)
    assert abs(burst_time(samples[rate:], rate) - 0.3) < 17 / rate
    assert abs(float(stream.damage.repairs.dropped_overlap) - 0.2) < 0.001


def test_jitter_of_time_stamps_changes_no_sample(tmp_path: Path) -> None:
    rate, generator = 16_000, np.random.default_rng(1)
    sound = noise(rate, 3)[:, 0]
    late = np.concatenate([[0], generator.uniform(-0.005, 0.005, 99)])
    pieces = [(max(0.0, i * 0.03 + float(late[i])), piece) for i, piece in enumerate(np.split(sound, 100))]
    samples, stream = read(stamped(tmp_path / "a.mkv", pieces, rate))
    assert np.abs(samples[:, 0] - sound).max() < 1e-4
    assert stream.damage.repairs.inserted_silence == stream.damage.repairs.dropped_overlap == 0


def test_a_clock_jump_leaves_no_gap(tmp_path: Path) -> None:
    rate = 16_000
    pieces = [(float(start), pulse(rate)[:, 0]) for start in (0, 1, 90_000, 90_001)]
    with open_audio(stamped(tmp_path / "a.mkv", pieces, rate)) as stream:
        count = sum(len(chunk.samples) for chunk in stream)
    assert count == 4 * rate
    assert stream.damage.repairs.clock_jumps == 1


@pytest.mark.parametrize("speed", [0.1, 0.5, 0.8])
def test_time_stamps_slower_than_the_sound_drop_nothing(tmp_path: Path, speed: float) -> None:
    sound = noise(16_000, 3.0)
    pieces = [(speed * start / 16_000, sound[start : start + 640, 0]) for start in range(0, 48_000, 640)]
    with open_audio(stamped(tmp_path / "a.mkv", pieces, 16_000)) as stream:
        samples = np.concatenate([chunk.samples for chunk in stream])
    assert np.abs(samples - sound).max() < 1e-3
    assert stream.damage.repairs == TimestampRepairs(has_slow_clock=True)
    finding = next(
        finding for finding in check_recording(tmp_path / "a.mkv").findings if finding.name == "clock"
    )
    assert finding.sentence == "its time stamps advance more slowly than its sound"


def test_a_chained_stream_is_read_to_its_end(tmp_path: Path) -> None:
    part = encode(tmp_path / "part.ogg", pulse(48_000), 48_000, "libopus").read_bytes()
    (tmp_path / "chain.ogg").write_bytes(part + part)
    samples, stream = read(tmp_path / "chain.ogg")
    assert len(samples) == 96_000
    assert abs(burst_time(samples[48_000:], 48_000) - 0.5) < 1 / 48_000
    assert (stream.damage.joined_files, stream.damage.repairs.clock_jumps) == (2, 0)


def test_a_change_of_rate_and_channels_keeps_time(tmp_path: Path) -> None:
    one = encode(tmp_path / "1.mp3", pulse(44_100, 2.0, 1.5), 44_100, "libmp3lame").read_bytes()
    two = encode(tmp_path / "2.mp3", pulse(22_050, 2.0, 1.5, 2), 22_050, "libmp3lame").read_bytes()
    (tmp_path / "both.mp3").write_bytes(one + two)
    samples, stream = read(tmp_path / "both.mp3")
    assert (stream.info.rate, stream.info.channels) == (44_100, 1)
    assert stream.damage.repairs.rate_changes == 1
    assert abs(burst_time(samples[: 2 * 44_100], 44_100) - 1.5) < 2e-5
    assert abs(len(samples) / 44_100 - 4.0) < 0.2  # the second file's own padding is not cut


def test_a_truncated_mp3_is_read_to_its_end(tmp_path: Path) -> None:
    complete = encode(tmp_path / "a.mp3", noise(44_100, 4), 44_100, "libmp3lame")
    (tmp_path / "half.mp3").write_bytes(complete.read_bytes()[: complete.stat().st_size // 2])
    samples, stream = read(tmp_path / "half.mp3")
    assert 1.8 < len(samples) / 44_100 < 2.2
    assert stream.info.container_duration is not None
    assert abs(float(stream.info.container_duration) - 4) < 0.05


def test_damage_does_not_shift_later_sound(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", noise(44_100, 4, level=0.01) + pulse(44_100, 4, 3), 44_100, "aac")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 2000] = b"\xff" * 2000
    path.write_bytes(bytes(data))
    samples, _ = read(path)
    assert abs(burst_time(samples, 44_100) - 3) < 2 / 44_100


def test_a_codec_tag_that_is_no_text_is_ignored(tmp_path: Path) -> None:
    """The codec tag of the container is damaged, the codec parameters are not."""
    path = encode(tmp_path / "a.m4a", noise(44_100, 0.2), 44_100, "aac")
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"\xff\xfe\x80\x90"))
    assert read(path)[1].info.codec == "aac"


def test_dts_in_a_wav_is_not_read_as_pcm(tmp_path: Path) -> None:
    """As on CDs for home theatres: the header declares 16-bit samples, but they contain another codec."""
    packed = encode(
        tmp_path / "a.ac3", np.repeat(pulse(48_000, 1.0, 0.6), 2, axis=1), 48_000, "ac3"
    ).read_bytes()
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(packed)
    samples, stream = read(tmp_path / "a.wav")
    assert stream.info.codec == "ac3"
    assert abs(burst_time(samples, 48_000) - 0.6) < 0.03


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_not_numbers_are_refused_or_silenced(tmp_path: Path, value: float) -> None:
    sound = noise(16_000, 0.5)
    sound[100] = value
    path = encode(tmp_path / "a.wav", sound, 16_000, "pcm_f32le")
    with pytest.raises(AudioError, match="not numbers; use --audio-policy fix"):
        read(path)
    samples, stream = read(path, silence_invalid=True)
    sound[100] = 0
    assert np.array_equal(samples, sound)
    assert stream.damage.invalid_samples == 1


def test_a_double_above_float32_is_invalid(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.wav", noise(16_000, 0.1), 16_000, "pcm_f64le")
    data = bytearray(path.read_bytes())
    data[-8:] = np.float64(1e300).tobytes()
    path.write_bytes(bytes(data))
    assert read(path, silence_invalid=True)[1].damage.invalid_samples == 1


def truncated(suffix: str, codec: str, size: int) -> Callable[[Path], None]:
    """Writes the first `size` bytes of a good file."""

    def make(path: Path) -> None:
        complete = encode(path.with_name(f"complete.{suffix}"), noise(44_100, 1), 44_100, codec)
        path.write_bytes(complete.read_bytes()[:size])

    return make


def renamed(suffix: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """Writes an AAC file with another name of its codec."""

    def make(path: Path) -> None:
        complete = encode(path.with_name(f"complete.{suffix}"), noise(44_100, 1), 44_100, "aac")
        path.write_bytes(complete.read_bytes().replace(old, new))

    return make


BROKEN: dict[str, Callable[[Path], object]] = {
    "absent.wav": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "empty.wav": lambda path: path.write_bytes(b""),
    "text.wav": lambda path: path.write_text("this is not a sound\n" * 100),
    "silent.mp4": video_without_sound,
    "header.wav": lambda path: write_wav(path, np.zeros((0, 1), np.float32), 16_000),
    "slow.wav": lambda path: write_wav(path, np.zeros((10, 1), np.float32), 10),
    "cut.mp3": truncated("mp3", "libmp3lame", 300),
    "cut.m4a": truncated("m4a", "aac", 9000),
    "locked.m4p": renamed("m4a", b"mp4a", b"drms"),
    "odd.mkv": renamed("mkv", b"A_AAC", b"A_XYZ"),
    "list.m3u8": lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://localhost:9/x.ts\n"),
}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("absent.wav", "there is no file .*absent.wav; check the name"),
        ("folder", "folder is a folder; name one sound file"),
        ("empty.wav", "empty.wav is empty; export or download it again"),
        ("text.wav", "text.wav is damaged, or not a sound file; convert it"),
        ("silent.mp4", "silent.mp4 has no sound; choose a file with a sound track"),
        ("header.wav", "header.wav holds no samples; record or export it again"),
        ("slow.wav", "slow.wav runs at 10 Hz, which is not a sample rate of sound; export it again"),
        ("cut.mp3", "cut.mp3 is damaged, or not a sound file; convert it"),
        ("cut.m4a", "cut.m4a is damaged, or not a sound file; convert it"),
        ("locked.m4p", "locked.m4p is copy-protected; use a copy without protection"),
        ("odd.mkv", "the sound of odd.mkv is in an unknown format; convert it"),
        ("list.m3u8", "list.m3u8 is damaged, or not a sound file; convert it"),
    ],
)
def test_each_bad_file_has_its_own_error(
    tmp_path: Path, kind: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / kind
    BROKEN[kind](path)
    with pytest.raises(AudioError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", ""), "FFmpeg's own messages must not reach the terminal"


def test_a_device_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is a device, not a regular file; save a sound file first"):
        open_audio("/dev/zero")


def test_the_track_flagged_as_default_is_read(tmp_path: Path) -> None:
    rate = 16_000
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as output:
        tracks = [output.add_stream("pcm_s16le", rate=rate, layout="mono") for _ in range(2)]
        tracks[0].disposition = av.stream.Disposition.dub
        tracks[1].disposition = av.stream.Disposition.default
        for index, track in enumerate(tracks):
            packet = av.Packet(np.full(rate, 1_000 * (index + 1), "<i2").tobytes())
            packet.stream, packet.time_base, packet.pts, packet.dts = track, Fraction(1, rate), 0, 0
            output.mux(packet)
    samples, stream = read(path)
    assert stream.info.track_count == 2
    assert np.all(samples == np.float32(2_000 / 32_768))


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "ogg", "flac", "webm", "wav", "ts"])
def test_damaged_files_are_read_or_refused(tmp_path: Path, suffix: str) -> None:
    """Any damage gives finite samples or an AudioError: no other exception, no endless silence."""
    codec = {"mp3": "libmp3lame", "flac": "flac", "wav": "pcm_s16le"}.get(suffix, "libopus")
    codec = "aac" if suffix in ("m4a", "ts") else codec
    rate = 48_000 if codec == "libopus" else 16_000
    good = encode(tmp_path / f"good.{suffix}", babble(rate, 0.4), rate, codec).read_bytes()
    generator = np.random.default_rng(len(good))
    for _ in range(40):
        data = np.frombuffer(good, np.uint8).copy()
        data[generator.integers(0, len(data), generator.integers(1, 20))] = generator.integers(0, 256)
        data[generator.integers(0, 200)] ^= np.uint8(1 << generator.integers(0, 8))
        path = tmp_path / f"bad.{suffix}"
        path.write_bytes(data.tobytes())
        with contextlib.suppress(AudioError):
            samples, _ = read(path, silence_invalid=True)
            assert np.isfinite(samples).all()
            assert len(samples) < 100 * rate


def broken_avi(path: Path, sound: NDArray[np.float32], rate: int) -> Path:
    """MP3 of variable bit rate in an AVI that counts bytes, as if the rate were constant: its times are wrong."""
    source = encode(path.with_suffix(".mp3"), sound, rate, "libmp3lame", options={"q": "4"})
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        copy = output.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(audio=0):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)
    data = bytearray(path.read_bytes())
    header = data.index(b"strh") + 8
    scale, per_second = 1, 8_000  # bytes a second
    struct.pack_into("<II", data, header + 20, scale, per_second)
    struct.pack_into("<I", data, header + 44, 1)  # bytes of a sample: time follows the bytes
    path.write_bytes(bytes(data))
    return path


def test_an_avi_with_wrong_times_keeps_all_sound(tmp_path: Path) -> None:
    sound = np.concatenate(
        [noise(16_000, 2, level=0.3), noise(16_000, 2, level=1e-4), pulse(16_000, 2.0, 1.0)]
    )
    samples, stream = read(broken_avi(tmp_path / "a.avi", sound, 16_000))
    assert abs(len(samples) - len(sound)) < 3_000
    assert stream.damage.repairs == TimestampRepairs()


def test_time_stamps_that_stand_still_lose_no_sound(tmp_path: Path) -> None:
    pieces = [(0.0, piece) for piece in np.split(noise(16_000, 2)[:, 0], 100)]
    samples, stream = read(stamped(tmp_path / "a.mkv", pieces, 16_000))
    assert np.abs(samples[:, 0] - np.concatenate([piece for _, piece in pieces])).max() < 1e-4
    assert stream.damage.repairs == TimestampRepairs()


def test_an_avi_whose_length_is_in_bytes_announces_nothing(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.avi", babble(22_050, 10.0), 22_050, "adpcm_ms")
    _, stream = read(path)
    assert stream.info.container_duration is None or stream.info.container_duration < 11

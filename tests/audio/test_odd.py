"""Unusual recordings are read right or refused with a clear error; never silence, never drift."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from audio.sounds import babble, burst_time, encode, pulse, stamped, write_wav
from liveavatar.audio.front_end import check_recording, read_speech
from liveavatar.audio.io.decode import open_audio
from liveavatar.audio.io.riff import build_wave_header


def test_ten_hours_are_counted_to_the_sample(tmp_path: Path) -> None:
    """A sparse file at 1 kHz, with a burst one second before its end."""
    path, rate = tmp_path / "long.wav", 1_000
    samples = 10 * 3600 * rate
    with path.open("wb") as file:
        file.write(build_wave_header(samples, rate))
        file.seek(2 * (samples - rate), 1)
        file.write(np.full(rate, 8_192, "<i2").tobytes())
    with open_audio(path) as stream:
        assert stream.info.container_duration == 36_000
        loud = [chunk.pts + int(np.flatnonzero(chunk.samples)[0]) for chunk in stream if chunk.samples.any()]
    assert stream.sample_count == samples
    assert loud[0] == samples - rate
    assert stream.damage.repairs.inserted_silence == stream.damage.repairs.dropped_overlap == 0


def test_ten_milliseconds_are_read(tmp_path: Path) -> None:
    report, chunks = read_speech(write_wav(tmp_path / "a.wav", babble(44_100, 0.01), 44_100))
    assert sum(map(len, chunks)) == report.speech_sample_count == 160


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 64), (384_000, 2), (3_000, 1), (768_000, 1)])
def test_odd_rates_and_channels_keep_time(tmp_path: Path, rate: int, channels: int) -> None:
    path = write_wav(tmp_path / "a.wav", pulse(rate, 1.0, 0.3, channels), rate)
    report, chunks = read_speech(path)
    speech = np.concatenate(list(chunks))
    assert len(speech) == 16_000
    assert abs(burst_time(speech, 16_000) - 0.3) < 0.5 / 16_000
    assert report.info.channels == channels


@pytest.mark.parametrize("factor", [0.25, 4, 1000])
def test_an_mp3_with_a_wrong_header_is_read_to_its_end(tmp_path: Path, factor: float) -> None:
    """Variable bit rate: the number of frames in the header is wrong, the frames are right."""
    path = encode(tmp_path / "a.mp3", pulse(44_100, 4.0, 3.5), 44_100, "libmp3lame")
    data = bytearray(path.read_bytes())
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    frames = int.from_bytes(data[place : place + 4], "big")
    data[place : place + 4] = int(frames * factor).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    report, chunks = read_speech(path)
    assert abs(burst_time(np.concatenate(list(chunks)), 16_000) - 3.5) < 1 / 16_000
    assert {"length", "header"} & {finding.name for finding in report.findings if finding.level != "ok"}


def test_a_clock_that_restarts_leaves_no_gap(tmp_path: Path) -> None:
    """Three transport streams joined: the clock restarts with each."""
    rate = 48_000
    part = encode(tmp_path / "part.ts", pulse(rate, 1.0), rate, "aac").read_bytes()
    (tmp_path / "a.ts").write_bytes(3 * part)
    report, chunks = read_speech(tmp_path / "a.ts", "as-is")
    speech = np.concatenate(list(chunks))
    length = len(speech) // 3
    assert length == pytest.approx(16_000, abs=800)
    times = [burst_time(speech[index * length : (index + 1) * length], 16_000) for index in range(3)]
    assert np.ptp(times) < 1e-3
    assert "clock" in {finding.name for finding in report.findings}


def test_a_time_stamp_far_ahead_inserts_no_silence(tmp_path: Path) -> None:
    rate = 16_000
    sound = babble(rate, 1)[:, 0]
    report = check_recording(stamped(tmp_path / "a.mkv", [(0.0, sound), (40_000.0, sound)], rate))
    assert report.duration == Fraction(2)
    assert {"clock", "length"} <= {finding.name for finding in report.findings if finding.level != "ok"}

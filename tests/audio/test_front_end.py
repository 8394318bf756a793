"""Any file or live stream becomes 16 kHz mono with the right time, length and level; repairs are reported."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.sounds import babble, burst_time, encode, noise, pulse, stamped, write_wav
from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.dsp.gain import TARGET_LUFS
from liveavatar.audio.dsp.loudness import LoudnessMeter
from liveavatar.audio.dsp.speech_downmix import SpeechDownmixer
from liveavatar.audio.front_end import RepairPolicy, StreamFrontEnd, check_recording, read_speech
from liveavatar.errors import AudioError
from liveavatar.frames import Samples
from liveavatar.timeline import rescale_count

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000]


def read(path: Path, policy: RepairPolicy = "fix") -> tuple[AudioReport, Samples]:
    report, chunks = read_speech(path, policy)
    return report, np.concatenate(list(chunks))


def names(report: AudioReport) -> set[str]:
    """Names of the findings that are not ok."""
    return {finding.name for finding in report.findings if finding.level != "ok"}


def loudness(samples: Samples) -> float:
    meter = LoudnessMeter(16_000, ("FC",))
    meter.push(samples[None])
    return meter.finish()


@pytest.mark.parametrize("rate", RATES)
def test_a_burst_stays_at_its_time(tmp_path: Path, rate: int) -> None:
    _, speech = read(write_wav(tmp_path / "a.wav", pulse(rate, 1.0, 0.3), rate), "as-is")
    assert abs(burst_time(speech, 16_000) - 0.3) < 0.5 / 16_000
    assert speech.dtype == np.float32


@pytest.mark.slow
@settings(max_examples=25)
@given(rate=st.sampled_from(RATES), count=st.integers(1, 40_000))
def test_the_length_is_exact(tmp_path_factory: pytest.TempPathFactory, rate: int, count: int) -> None:
    path = write_wav(tmp_path_factory.mktemp("length") / "a.wav", np.zeros((count, 1), np.float32), rate)
    report, speech = read(path)
    assert report.sample_count == count
    assert report.duration == Fraction(count, rate)
    assert len(speech) == max(1, rescale_count(count, rate, 16_000))


@pytest.mark.slow
@given(
    cuts=st.lists(st.integers(0, 10_000), max_size=10),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    channels=st.sampled_from([1, 2, 6]),
)
def test_mixing_and_resampling_do_not_depend_on_chunks(cuts: list[int], rate: int, channels: int) -> None:
    sound = noise(rate, 10_000 / rate, channels)
    layout = ("FL", "FR", "FC", "LFE", "BL", "BR")[:channels] if channels > 1 else ("FC",)
    one_chunk, stream = SpeechDownmixer(rate, layout), SpeechDownmixer(rate, layout)
    expected = np.concatenate([one_chunk.push(sound), one_chunk.flush()])
    pieces = [stream.push(piece) for piece in np.split(sound, sorted(cuts))]
    assert np.array_equal(np.concatenate([*pieces, stream.flush()]), expected)


@pytest.mark.parametrize("level", [0.006, 0.02, 0.2])
def test_fix_brings_speech_to_the_target(tmp_path: Path, level: float) -> None:
    report, speech = read(encode(tmp_path / "a.wav", babble(44_100, 4, level), 44_100, "pcm_f32le"))
    assert abs(loudness(speech) - TARGET_LUFS) < 0.1
    assert any("the level is" in line for line in report.fixes)


def test_fix_keeps_the_true_peak_under_the_ceiling(tmp_path: Path) -> None:
    sound = babble(16_000, 4, 0.01) + pulse(16_000, 4, 2)
    report, speech = read(encode(tmp_path / "a.wav", sound, 16_000, "pcm_f32le"))
    assert loudness(speech) < TARGET_LUFS
    assert 0.85 < np.abs(speech).max() <= 10 ** (-1 / 20)
    assert report.mono_level.true_peak >= np.abs(sound).max()


def test_as_is_leaves_the_level_alone(tmp_path: Path) -> None:
    sound = babble(16_000, 2, 0.003)
    report, speech = read(encode(tmp_path / "a.wav", sound, 16_000, "pcm_f32le"), "as-is")
    assert np.array_equal(speech, sound[:, 0])
    assert report.fixes == ()


def test_fix_removes_a_constant_offset(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.wav", babble(16_000, 3, 0.1) + np.float32(0.1), 16_000, "pcm_f32le")
    report, speech = read(path)
    assert "offset" in names(report)
    assert "a constant offset of +0.1" in "".join(report.fixes)
    assert abs(float(speech.mean())) < 1e-3


def test_a_clean_buzz_has_only_findings_about_speech(tmp_path: Path) -> None:
    report, _ = read(write_wav(tmp_path / "a.wav", babble(16_000, 5, 0.1), 16_000))
    assert names(report) <= {"speech", "bandwidth"}


def opposite(voice: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([voice, -voice], axis=1)


def one_sided(voice: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros_like(voice), voice], axis=1)


@pytest.mark.parametrize(
    ("name", "level", "sound", "rate", "sentence"),
    [
        (
            "phase",
            "warn",
            opposite(babble(16_000, 3)),
            16_000,
            "channels cancel each other for 100% of the time",
        ),
        ("balance", "warn", one_sided(babble(16_000, 3)), 16_000, "only channel 2 carries sound"),
        ("level", "warn", babble(16_000, 3, 0.01), 16_000, "it is quiet: -4"),
        ("level", "bad", babble(16_000, 3, 0.001), 16_000, "it is faint: -6"),
        ("level", "warn", babble(16_000, 3, 0.4), 16_000, "it is loud: -"),
        ("offset", "warn", babble(16_000, 3) - np.float32(0.1), 16_000, "it has a constant offset of -0.1"),
        ("clipping", "bad", np.clip(babble(16_000, 3, 1), -0.5, 0.5), 16_000, "of it is clipped"),
        ("rate", "warn", babble(8_000, 3), 8_000, "8000 Hz leaves out consonants"),
        ("speech", "warn", noise(16_000, 3), 16_000, "hardly any speech is heard in it"),
        ("speech", "warn", np.zeros((16_000, 1), np.float32), 16_000, "it is silent: the face will idle"),
    ],
)
def test_each_problem_has_its_finding(
    tmp_path: Path, name: str, level: str, sound: NDArray[np.float32], rate: int, sentence: str
) -> None:
    path = write_wav(tmp_path / "a.wav", sound, rate)
    [finding] = [finding for finding in check_recording(path).findings if finding.name == name]
    assert finding.level == level
    assert sentence in finding.sentence
    assert finding.remedy
    assert "\n" not in finding.sentence + finding.remedy


def test_a_truncated_file_has_a_finding(tmp_path: Path) -> None:
    data = encode(tmp_path / "a.mp3", babble(44_100, 4), 44_100, "libmp3lame").read_bytes()
    (tmp_path / "half.mp3").write_bytes(data[: len(data) // 2])
    [finding] = [
        finding for finding in check_recording(tmp_path / "half.mp3").findings if finding.name == "length"
    ]
    assert "s of the 4.0 s it announces" in finding.sentence


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "ogg", "webm", "flac", "mkv"])
def test_a_complete_file_has_no_finding_about_length(tmp_path: Path, suffix: str) -> None:
    codec = {"mp3": "libmp3lame", "ogg": "libopus", "webm": "libopus", "flac": "flac"}.get(suffix, "aac")
    path = encode(tmp_path / f"a.{suffix}", babble(48_000, 0.4), 48_000, codec)
    assert "length" not in names(check_recording(path))


def test_gaps_are_reported_and_filled(tmp_path: Path) -> None:
    voice = babble(16_000, 1)[:, 0]
    report, speech = read(stamped(tmp_path / "a.mkv", [(0.0, voice), (1.5, voice)], 16_000))
    assert "gaps" in names(report)
    assert "0.50 s missing between time stamps are filled with silence" in report.fixes
    assert len(speech) == 40_000


def test_damaged_samples_follow_the_policy(tmp_path: Path) -> None:
    sound = babble(16_000, 2)
    sound[5_000:5_003] = np.nan
    path = encode(tmp_path / "a.wav", sound, 16_000, "pcm_f32le")
    report, speech = read(path)
    assert np.isfinite(speech).all()
    assert "3 samples that were not numbers are silenced" in report.fixes
    policies: tuple[RepairPolicy, ...] = ("strict", "as-is")
    for policy in policies:
        with pytest.raises(AudioError, match="not numbers; use --audio-policy fix"):
            read_speech(path, policy)


def test_strict_refuses_with_the_worst_finding(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.clip(babble(8_000, 3, 1), -0.5, 0.5), 8_000)
    with pytest.raises(
        AudioError, match=r"a.wav: .*clipped; record it again at a lower level, or use --audio-policy"
    ):
        read_speech(path, "strict")


def test_silence_and_one_sample_are_read(tmp_path: Path) -> None:
    report, speech = read(write_wav(tmp_path / "a.wav", np.zeros((48_000, 2), np.float32), 48_000))
    assert report.mono_level.loudness == -math.inf
    assert np.array_equal(speech, np.zeros(16_000))
    report, speech = read(write_wav(tmp_path / "b.wav", np.full((1, 1), 0.5, np.float32), 48_000))
    assert len(speech) == 1


@pytest.mark.slow
def test_a_file_is_read_in_small_chunks(tmp_path: Path) -> None:
    """Ten seconds come in several chunks, so memory does not grow with the length."""
    _, chunks = read_speech(write_wav(tmp_path / "a.wav", babble(44_100, 10), 44_100))
    assert max(len(chunk) for chunk in chunks) <= 16_000


# Live sound


def stream(pieces: list[tuple[NDArray[np.float32], int]], level: bool = False) -> Samples:
    front_end = StreamFrontEnd(level)
    out = [front_end.push(samples, rate) for samples, rate in pieces]
    return np.concatenate([*out, front_end.flush()])


@pytest.mark.slow
@settings(max_examples=30)
@given(
    cuts=st.lists(st.integers(0, 30_000), max_size=10),
    rate=st.sampled_from([16_000, 24_000, 44_100]),
    channels=st.sampled_from([1, 2]),
    level=st.booleans(),
)
def test_live_chunks_give_the_same_bits(cuts: list[int], rate: int, channels: int, level: bool) -> None:
    sound = noise(rate, 30_000 / rate, channels)
    pieces = [(piece, rate) for piece in np.split(sound, sorted(cuts))]
    assert np.array_equal(stream(pieces, level), stream([(sound, rate)], level))


@pytest.mark.parametrize("rate", RATES)
def test_live_sound_equals_the_file(tmp_path: Path, rate: int) -> None:
    """Except above 7.5 kHz, where the two resamplers differ and a buzz has little energy."""
    sound = np.repeat(babble(rate, 0.5), 2, axis=1)
    live, file = (
        stream([(sound, rate)]),
        read(encode(tmp_path / "a.wav", sound, rate, "pcm_f32le"), "as-is")[1],
    )
    assert len(live) == len(file)
    assert np.sqrt(np.mean(np.square(live - file)[200:-200])) < 0.003
    if rate == 16_000:
        assert np.array_equal(live, file)


@pytest.mark.parametrize(
    ("rate", "channels", "lag"), [(16_000, 1, 0.02), (48_000, 1, 0.026), (44_100, 2, 0.046)]
)
def test_the_latency_of_live_sound_is_bounded(rate: int, channels: int, lag: float) -> None:
    front_end = StreamFrontEnd()
    chunks = np.split(noise(rate, 1.0, channels), 100)
    output_count = sum(len(front_end.push(chunk, rate)) for chunk in chunks)
    assert output_count / 16_000 > 1 - lag - 0.001


def test_rate_and_channels_may_change() -> None:
    """A burst half a second into each part stays at its time."""
    parts = [
        (pulse(rate, 1.0, 0.5, channels), rate) for rate, channels in ((48_000, 1), (44_100, 2), (16_000, 1))
    ]
    speech = stream(parts)
    assert len(speech) == 48_000
    for second in range(3):
        part = speech[second * 16_000 : (second + 1) * 16_000]
        assert abs(burst_time(part, 16_000) - 0.5) < 0.5 / 16_000


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(RATES), st.integers(0, 3_000)), max_size=12))
def test_changes_of_rate_cause_no_drift(parts: list[tuple[int, int]]) -> None:
    speech = stream([(np.ones(count, np.float32), rate) for rate, count in parts], level=True)
    seconds = sum((Fraction(count, rate) for rate, count in parts), Fraction(0))
    assert abs(len(speech) - seconds * 16_000) <= 1


def test_int16_full_scale_is_32768() -> None:
    front_end = StreamFrontEnd(adjust_gain=False)
    assert np.array_equal(front_end.push(np.array([16_384, -32_768], np.int16), 16_000), [0.5, -1.0])


def test_invalid_live_samples_are_silenced() -> None:
    front_end = StreamFrontEnd(adjust_gain=False)
    assert np.array_equal(front_end.push(np.array([0.5, np.nan, np.inf], np.float32), 16_000), [0.5, 0, 0])


@pytest.mark.parametrize(
    ("chunk", "rate", "message"),
    [
        (np.zeros(10, np.float32), 10, "live sound at 10 Hz is not possible; send 16000"),
        (np.zeros((2, 2, 2), np.float32), 16_000, "live sound of shape"),
        (np.zeros((2, 0), np.float32), 16_000, "live sound of shape"),
        (np.zeros(10, np.int32), 16_000, "live sound of type int32 is not possible; send float32 or int16"),
    ],
)
def test_unsupported_live_input_is_refused(chunk: NDArray[np.float32], rate: int, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        StreamFrontEnd().push(chunk, rate)


def test_a_second_stream_is_independent() -> None:
    front_end = StreamFrontEnd()
    sound = babble(24_000, 1)
    first = np.concatenate([front_end.push(sound, 24_000), front_end.flush()])
    assert np.array_equal(np.concatenate([front_end.push(sound, 24_000), front_end.flush()]), first)

"""Damaged speech: each fault is found, and repaired where the rule book says so."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.analysis.test_noise import with_reverberation
from audio.analysis.test_texture import make_applause, make_chords
from audio.sounds import encode, stamped, write_wav
from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.report_json import audio_report_to_json, format_report_tag
from liveavatar.audio.analysis.rules import RULES, format_prepare_command
from liveavatar.audio.batch.prepare import PreparationOptions, prepare_recording
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.front_end import check_and_correct_rate, check_recording, read_speech
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import AudioError
from liveavatar.frames import Samples
from liveavatar.report import FINDING_LEVELS, Finding, find_worst_level

Sound = NDArray[np.float32]


def resampled(sound: Samples, before: int, after: int) -> Samples:
    return Resampler(before, after).resample_chunk(sound, last=True)


def noisy(sound: Samples, level: float) -> Sound:
    return (sound + level * np.random.default_rng(0).standard_normal(len(sound)))[:, None].astype(np.float32)


def with_dropouts(sound: Samples) -> Sound:
    damaged = sound.copy()
    for start in np.flatnonzero(np.abs(sound) > 0.3)[::800]:
        damaged[start : start + 200] = 0
    return damaged[:, None]


def to_stereo(left: Samples, right: Samples) -> Sound:
    return np.stack([left, right], axis=1)


DAMAGED: dict[str, tuple[Callable[[Samples], Sound], str, str]] = {
    "bandwidth": (
        lambda speech: resampled(resampled(speech, 16_000, 8_000), 8_000, 16_000)[:, None],
        "warn",
        "a recording of 8000 Hz upsampled to 16000 Hz",
    ),
    "noise": (lambda speech: noisy(speech, 0.02), "warn", "speech lies 1"),
    "echo": (lambda speech: with_reverberation(speech, 0.5)[:, None], "warn", "the room echoes"),
    "dropouts": (with_dropouts, "warn", "sound breaks off"),
    "clipping": (lambda speech: np.clip(4 * speech, -0.6, 0.6)[:, None], "bad", "is clipped"),
    "phase": (lambda speech: to_stereo(speech, -speech), "warn", "channels cancel each other"),
    "balance": (lambda speech: to_stereo(0 * speech, speech), "warn", "only channel 2 carries sound"),
    "offset": (lambda speech: speech[:, None] + np.float32(0.1), "warn", "a constant offset of +0.100"),
    "level": (lambda speech: speech[:, None] * np.float32(0.1), "warn", "it is quiet: -4"),
    "silence": (
        lambda speech: np.concatenate([speech, np.zeros(25 * 16_000, np.float32), speech])[:, None],
        "warn",
        "nobody speaks for 26 s",
    ),
    "speech": (lambda speech: make_chords(6)[:, None], "warn", "it sounds like music"),
}


def read_samples(path: Path) -> Samples:
    """The samples of a mono file, unprocessed."""
    with open_audio(path) as stream:
        return np.concatenate([chunk.samples[:, 0] for chunk in stream])


def find_finding(report: AudioReport, name: str) -> Finding:
    [finding] = [finding for finding in report.findings if finding.name == name]
    return finding


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGED)
def test_each_fault_is_found_and_repaired_if_it_can_be(tmp_path: Path, speech: Samples, name: str) -> None:
    damage, level, sentence = DAMAGED[name]
    path = write_wav(tmp_path / "a b.wav", damage(speech), 16_000)
    report = check_recording(path)
    finding = find_finding(report, name)
    assert finding.level == level
    assert sentence in finding.sentence
    assert finding.remedy
    assert (finding in report.remaining_findings) == (not finding.remedy.endswith("-o prepared"))
    if finding not in report.remaining_findings:
        assert shlex.split(finding.remedy) == [
            "liveavatar", "audio", "prepare", str(path), "-o", "prepared",
        ]  # fmt: skip
        after = check_recording(prepare_recording(path, tmp_path / "out.wav", PreparationOptions()).output)
        assert name not in {finding.name for finding in after.remaining_findings}
        assert len(after.fixes) <= (name == "offset"), "only behind an offset the peaks are a guess"


@pytest.mark.slow
def test_clear_speech_is_ready(tmp_path: Path, speech: Samples) -> None:
    report = check_recording(write_wav(tmp_path / "a.wav", speech[:, None], 16_000))
    assert find_worst_level(report.findings) == "ok"
    assert {finding.name for finding in report.findings} >= {
        "length", "rate", "bandwidth", "dropouts", "channels", "offset", "clipping", "level", "silence", "noise",
        "echo", "speech",
    }  # fmt: skip
    assert all(not finding.remedy for finding in report.findings)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000])
def test_speech_at_another_rate_is_ready(tmp_path: Path, speech: Samples, rate: int) -> None:
    report = check_recording(write_wav(tmp_path / "a.wav", resampled(speech, 16_000, rate)[:, None], rate))
    assert find_worst_level(report.findings) == "ok"


@pytest.mark.slow
def test_a_band_is_not_judged_at_a_wrong_rate_or_without_speech(tmp_path: Path, speech: Samples) -> None:
    wrong = check_recording(write_wav(tmp_path / "a.wav", resampled(speech, 16_000, 44_100)[:, None], 16_000))
    assert {"rate", "bandwidth"}.isdisjoint(finding.name for finding in wrong.findings)
    assert find_finding(wrong, "true-rate").level == "bad"
    music = check_recording(
        encode(tmp_path / "a.m4a", resampled(make_chords(6), 16_000, 44_100)[:, None], 44_100, "aac")
    )
    assert find_finding(music, "bandwidth").level == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["noise", "echo", "silence"])
def test_strict_accepts_hints(tmp_path: Path, speech: Samples, name: str) -> None:
    path = write_wav(tmp_path / "a.wav", DAMAGED[name][0](speech), 16_000)
    report, chunks = read_speech(path, "strict")
    assert find_finding(report, name).level == "warn"
    assert np.array_equal(np.concatenate(list(chunks)), read_samples(path))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(DAMAGED) - {"noise", "echo", "silence"}))
def test_strict_refuses_all_other_faults(tmp_path: Path, speech: Samples, name: str) -> None:
    path = write_wav(tmp_path / "a.wav", DAMAGED[name][0](speech), 16_000)
    with pytest.raises(AudioError, match="or use --audio-policy fix"):
        read_speech(path, "strict")


def test_applause_is_not_speech(tmp_path: Path) -> None:
    report = check_recording(write_wav(tmp_path / "a.wav", make_applause(6)[:, None], 16_000))
    assert "it sounds like noise or applause" in find_finding(report, "speech").sentence


@pytest.mark.slow
def test_peaks_over_full_scale_are_repaired(tmp_path: Path, speech: Samples) -> None:
    path = encode(tmp_path / "a.wav", 4 * speech[:, None], 16_000, "pcm_f32le")
    assert "over full scale" in find_finding(check_recording(path), "peak").sentence
    after = check_recording(prepare_recording(path, tmp_path / "out.wav", PreparationOptions()).output)
    assert after.level.true_peak <= 10 ** (-1 / 20) + 1e-4


def test_a_low_level_remains_where_peaks_leave_no_room(tmp_path: Path, speech: Samples) -> None:
    sound = speech[:, None] * np.float32(0.05)
    sound[1_000] = 0.95
    report = check_recording(encode(tmp_path / "a.wav", sound, 16_000, "pcm_f32le"))
    assert find_finding(report, "level") in report.remaining_findings


@pytest.mark.slow
def test_sound_beyond_the_declared_duration_is_used(tmp_path: Path, speech: Samples) -> None:
    """A variable-rate mp3 whose header counts only its first half."""
    path = encode(tmp_path / "a.mp3", speech[:, None], 16_000, "libmp3lame")
    data = bytearray(path.read_bytes())
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    frames = int.from_bytes(data[place : place + 4], "big")
    data[place : place + 4] = (frames // 2).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    report = check_recording(path)
    assert "though it announces" in find_finding(report, "header").sentence
    assert any("more than it announces" in line for line in report.fixes)
    assert float(report.duration) > 0.95 * len(speech) / 16_000


@pytest.mark.slow
def test_a_gap_is_reported_once_and_repaired(tmp_path: Path, speech: Samples) -> None:
    report = check_recording(
        stamped(tmp_path / "a.mkv", [(0.0, speech[:40_000]), (3.0, speech[40_000:])], 16_000)
    )
    assert find_finding(report, "gaps") not in report.remaining_findings
    assert "0.50 s missing between time stamps are filled with silence" in report.fixes


@pytest.mark.slow
def test_as_is_repairs_nothing(tmp_path: Path, speech: Samples) -> None:
    report = check_recording(
        write_wav(tmp_path / "a.wav", speech[:, None] * np.float32(0.1), 16_000), "as-is"
    )
    assert report.fixes == ()
    assert [finding.name for finding in report.remaining_findings] == ["level"]


@pytest.mark.slow
def test_the_worst_finding_comes_first(tmp_path: Path, speech: Samples) -> None:
    path = write_wav(tmp_path / "a.wav", np.clip(4 * speech, -0.6, 0.6)[:, None] + np.float32(0.1), 16_000)
    levels = [FINDING_LEVELS.index(finding.level) for finding in check_recording(path).findings]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == 2


@pytest.mark.slow
def test_the_true_rate_overrides_the_header(tmp_path: Path, speech: Samples) -> None:
    path = write_wav(tmp_path / "a.wav", resampled(speech, 16_000, 44_100)[:, None], 16_000)
    prepared = prepare_recording(path, tmp_path / "out.wav", PreparationOptions(true_rate=44_100))
    assert prepared.report.speech_sample_count == len(speech)
    assert "it is read at 44100 Hz, though it declares 16000 Hz" in prepared.repairs
    assert check_recording(prepared.output).sample_count == len(speech)
    assert find_finding(prepared.report, "length").level == "ok"


def test_a_report_is_converted_to_plain_values(tmp_path: Path, speech: Samples) -> None:
    report = check_recording(write_wav(tmp_path / "a.wav", np.zeros((16_000, 2), np.float32), 16_000))
    values = audio_report_to_json(report)
    assert values["loudness_lufs"] is None
    assert values["decoded_seconds"] == values["container_seconds"] == 1
    assert values["channels"] == 2
    assert str(tmp_path) not in format_report_tag(report)
    assert "\n" not in format_report_tag(report)


@pytest.mark.slow
def test_a_wrong_rate_is_reported_with_its_command_and_repaired(tmp_path: Path, speech: Samples) -> None:
    path = write_wav(tmp_path / "a.wav", resampled(speech, 16_000, 8_000)[:, None], 16_000)
    finding = find_finding(check_recording(path), "true-rate")
    assert finding.level == "bad"
    assert "it declares 16000 Hz, but voices sound as if taken at 8000" in finding.sentence
    assert finding.remedy.endswith("-o prepared --true-rate 8000")
    corrected = check_and_correct_rate(path)
    assert corrected.speech_sample_count == len(speech)
    assert "it is read at 8000 Hz, though it declares 16000 Hz" in corrected.fixes
    assert check_and_correct_rate(path, "as-is").info.rate == 16_000
    with pytest.raises(AudioError, match="voices sound as if taken at 8000"):
        read_speech(path, "strict")


@pytest.mark.slow
@pytest.mark.parametrize("sound", [make_chords(6), make_applause(6)])
def test_music_and_applause_do_not_question_the_rate(tmp_path: Path, sound: Samples) -> None:
    report = check_recording(write_wav(tmp_path / "a.wav", sound[:, None], 16_000))
    assert find_finding(report, "true-rate").level == "ok"


def test_music_beside_speech_is_named_and_not_taken_for_an_echo(tmp_path: Path, speech: Samples) -> None:
    chords = make_chords(4).astype(np.float32)
    chords *= np.float32(0.1 / np.sqrt(np.square(chords).mean()))
    sound = np.concatenate([chords, speech[: 6 * 16_000], chords])[:, None]
    path = write_wav(tmp_path / "a.wav", sound.astype(np.float32), 16_000)
    report, _ = read_speech(path, "strict")
    assert "music is heard where nobody speaks" in find_finding(report, "music").sentence
    assert all(finding.name != "echo" for finding in report.findings)


def test_an_echo_between_sentences_is_not_music(tmp_path: Path, speech: Samples) -> None:
    pause = np.zeros(2 * 16_000, np.float32)
    sound = with_reverberation(np.concatenate([speech, pause, speech]), 0.5)
    report = check_recording(write_wav(tmp_path / "a.wav", sound[:, None], 16_000))
    assert find_finding(report, "echo").level == "warn"
    assert all(finding.name != "music" for finding in report.findings)


def test_the_table_says_who_repairs_and_how() -> None:
    for rule in RULES:
        assert (rule.handling is None) == (rule.level == "ok") == (rule.remedy == "")
        assert rule.handling != "repaired" or rule.remedy is format_prepare_command
        assert rule.repair is None or rule.handling == "repaired"
        assert rule.handling != "hint" or rule.level == "warn"

"""A guess from the voices alone changes time only beyond every speed of speech; evidence decides below that."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from audio.analysis.test_rules import find_finding, resampled
from audio.sounds import encode, write_wav
from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.rate_evidence import (
    find_rate_evidence,
    is_beyond_speech_speeds,
)
from liveavatar.audio.analysis.rules import find_certain_rate
from liveavatar.audio.analysis.sample_rate import RateGuess
from liveavatar.audio.front_end import check_and_correct_rate, check_recording, read_speech
from liveavatar.errors import AudioError
from liveavatar.frames import Samples


@pytest.fixture
def report(tmp_path: Path, speech: Samples) -> AudioReport:
    """Speech taken at 22050 Hz that declares 16000 Hz."""
    return doubted(tmp_path / "a.wav", speech, 16_000, 22_050)


def doubted(path: Path, speech: Samples, declared: int, true: int) -> AudioReport:
    report = check_recording(write_wav(path, resampled(speech, 16_000, true)[:, None], declared))
    assert report.rate_guess.likely_rate != declared
    return report


@pytest.mark.parametrize(("declared", "true"), [(22_050, 16_000), (16_000, 22_050), (24_000, 16_000)])
def test_voices_alone_do_not_change_time_within_the_speeds_of_speech(
    tmp_path: Path, speech: Samples, declared: int, true: int
) -> None:
    path = tmp_path / "a.wav"
    report = doubted(path, speech, declared, true)
    finding = find_finding(report, "true-rate")
    assert finding.level == "warn"
    assert f"it declares {declared} Hz, but voices sound as if taken at {true}" in finding.sentence
    assert "% likely" in finding.sentence
    assert finding.sentence.endswith("unless somebody speaks so, and its time is left as it is")
    assert finding.remedy.endswith(f"-o prepared --true-rate {true}")
    assert find_certain_rate(report) is None
    fixed = check_and_correct_rate(path)
    assert fixed.info.rate == declared
    assert find_finding(fixed, "true-rate") in fixed.remaining_findings
    with pytest.raises(AudioError, match="voices sound as if taken at"):
        read_speech(path, "strict")


@pytest.mark.parametrize(
    ("declared", "true"), [(16_000, 44_100), (48_000, 16_000), (16_000, 8_000), (8_000, 16_000)]
)
def test_beyond_the_speeds_of_speech_it_is_mended_and_strict_refuses(
    tmp_path: Path, speech: Samples, declared: int, true: int
) -> None:
    path = tmp_path / "a.wav"
    report = doubted(path, speech, declared, true)
    assert find_finding(report, "true-rate").level == "bad"
    fixed = check_and_correct_rate(path)
    assert float(fixed.duration) == pytest.approx(len(speech) / 16_000, rel=0.1)
    with pytest.raises(AudioError, match="voices sound as if taken at"):
        read_speech(path, "strict")


def make_guess(likely: int, near: float) -> RateGuess:
    return RateGuess(
        declared_rate=16_000, likely_rate=likely, ratio=likely / 16_000, confidence=1.0, is_sure=True,
        near_probability=near,
    )  # fmt: skip


def test_a_speed_of_speech_is_below_the_limit() -> None:
    rates = (8_000, 11_025, 22_050, 24_000, 44_100)
    assert [rate for rate in rates if is_beyond_speech_speeds(make_guess(rate, 0.0))] == [8_000, 44_100]


def test_twice_too_fast_or_slow_must_not_be_fast_or_slow_speech() -> None:
    """The probabilities are those of speech 1.75 times as fast, and of letters said at 0.7 times their pace."""
    assert not is_beyond_speech_speeds(make_guess(8_000, 0.0077))
    assert is_beyond_speech_speeds(make_guess(8_000, 0.0045))
    assert not is_beyond_speech_speeds(make_guess(44_100, 0.104))
    assert is_beyond_speech_speeds(make_guess(44_100, 0.056))


def test_a_picture_of_another_length_is_evidence(report: AudioReport) -> None:
    """The picture lasts as long as the sound does at 22.05 kHz, or at 24 kHz, which sounds the same."""
    true = report.duration * 16_000 / 22_050
    filmed = replace(report, info=replace(report.info, picture_duration=true + Fraction(1, 25)))
    evidence = find_rate_evidence(filmed)
    assert evidence is not None
    assert (evidence.rate, find_certain_rate(filmed)) == (22_050, 22_050)
    assert "picture" in evidence.reason
    assert "picture" in find_finding_sentence(filmed)
    faster = replace(report.info, picture_duration=report.duration * 16_000 / 24_000)
    assert find_certain_rate(replace(report, info=faster)) == 24_000


def find_finding_sentence(report: AudioReport) -> str:
    from liveavatar.audio.analysis.rules import assess_recording

    return next(finding.sentence for finding in assess_recording(report) if finding.name == "true-rate")


def test_a_picture_as_long_as_the_sound_forbids_a_change(tmp_path: Path, speech: Samples) -> None:
    report = doubted(tmp_path / "a.wav", speech, 16_000, 44_100)
    assert find_certain_rate(report) == 44_100
    filmed = replace(report, info=replace(report.info, picture_duration=report.duration))
    assert find_certain_rate(filmed) is None


@pytest.mark.parametrize(("declared", "announced"), [(1.0, None), (22_050 / 16_000, 22_050)])
def test_an_announced_duration_is_evidence_where_it_is_of_the_other_rate(
    report: AudioReport, declared: float, announced: int | None
) -> None:
    duration = report.duration / Fraction(declared)
    info = replace(report.info, container_duration=duration)
    assert find_certain_rate(replace(report, info=info)) == announced


def test_a_codec_of_one_rate_is_evidence(report: AudioReport) -> None:
    guess = replace(report.rate_guess, declared_rate=22_050, likely_rate=16_000, ratio=16_000 / 22_050)
    for codec, rate in (("adpcm_g722", 16_000), ("flac", None)):
        info = replace(report.info, codec=codec, rate=22_050, declared_rate=22_050)
        assert find_certain_rate(replace(report, rate_guess=guess, info=info)) == rate


def test_g722_that_declares_another_rate_is_mended(tmp_path: Path, speech: Samples) -> None:
    path = encode(tmp_path / "a.wav", speech[:, None], 16_000, "g722")
    data = bytearray(path.read_bytes())
    assert int.from_bytes(data[24:28], "little") == 16_000
    data[24:28] = (22_050).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    fixed = check_and_correct_rate(path)
    assert fixed.info.rate == 16_000
    assert float(fixed.duration) == pytest.approx(len(speech) / 16_000, abs=0.02)


@pytest.mark.parametrize("true", [22_050, 24_000])
def test_a_band_edge_that_only_the_likely_rate_explains_is_evidence(
    tmp_path: Path, speech: Samples, true: int
) -> None:
    """Speech of 8 kHz, upsampled and labelled 16 kHz: a filter at 3.6 kHz shows at 2.6 or 2.5 kHz."""
    narrow = resampled(resampled(speech, 16_000, 8_000), 8_000, 16_000)
    path = write_wav(tmp_path / "a.wav", resampled(narrow, 16_000, true)[:, None], 16_000)
    report = check_recording(path)
    assert "its band ends where no rate cuts off" in find_finding(report, "true-rate").sentence
    assert check_and_correct_rate(path).info.rate == true


def test_the_filter_of_a_lossy_codec_is_no_evidence(tmp_path: Path, speech: Samples) -> None:
    narrow = resampled(resampled(speech, 16_000, 8_000), 8_000, 16_000)
    report = doubted(tmp_path / "a.wav", narrow, 16_000, 22_050)
    assert find_rate_evidence(report) is not None
    assert find_rate_evidence(replace(report, info=replace(report.info, codec="mp3"))) is None

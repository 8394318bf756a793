"""What an offset is worth depends on the frame rate and on the match."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.sync import measure
from liveavatar.sync.audio_track import AudioTrack
from liveavatar.sync.lip_track import LipTrack
from liveavatar.sync.measure import FEATURE_BIAS_SECONDS, SyncMeasurement
from liveavatar.sync.offset import ConfidenceInterval
from liveavatar.sync.report import EARLY_LIMIT_MS, LATE_LIMIT_MS, build_sync_report
from liveavatar.sync.uncertainty import compute_delay_deviation

SECONDS = 12
HALF_FRAME_MS = 21.0
"""Half of the time of a picture at 25 a second, within which zero is not known at any frame rate."""


def measure_film(fps: float, late: float, monkeypatch: pytest.MonkeyPatch) -> SyncMeasurement:
    """A film whose pictures are stamped with the instants of their exposure, `late` seconds behind its sound."""
    monkeypatch.setattr(measure, "has_pocketsphinx", lambda: False)
    values = np.random.default_rng(1).normal(size=100 * (SECONDS + 2)).cumsum()
    clock = np.arange(len(values)) / 100
    opening = np.abs(values - np.convolve(values, np.ones(40) / 40, "same")) * np.abs(np.sin(5 * clock))
    opening = np.convolve(opening, np.hanning(15) / np.hanning(15).sum(), "same")
    stamps = np.arange(0, SECONDS, 1 / fps)
    steps = np.interp(clock[: 100 * SECONDS] + 0.005, clock, opening).astype(np.float32)
    zero = np.zeros_like(steps)
    return measure.compare_tracks(
        Path("film.mp4"),
        LipTrack(
            times=stamps + 0.5 / fps,
            openings=np.interp(stamps - late, clock, opening, left=0),
            frame_seconds=1 / fps,
        ),
        AudioTrack(loudness=steps, jaw=zero, closure=zero, voice=zero),
        0.0,
    )


@pytest.fixture(scope="module")
def film() -> Iterator[SyncMeasurement]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield measure_film(25, 0.0, monkeypatch)


@pytest.mark.parametrize("fps", [8, 10, 12, 15, 25, 30])
@pytest.mark.parametrize("late", [-0.03, 0.0])
def test_a_film_in_step_is_in_step_at_any_frame_rate(
    fps: float, late: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = measure_film(fps, late + FEATURE_BIAS_SECONDS, monkeypatch)
    report = build_sync_report(measured)
    if report.verdict != "not the same speech":
        assert report.verdict == ("in step" if report.confident else "uncertain")
        low, high = report.offset_interval
        assert low - HALF_FRAME_MS < 1000 * late < high + HALF_FRAME_MS


@pytest.mark.parametrize("late", [-0.3, -0.1, 0.1, 0.3])
def test_shifts_are_found_at_usual_frame_rates(late: float, monkeypatch: pytest.MonkeyPatch) -> None:
    report = build_sync_report(measure_film(25, late + FEATURE_BIAS_SECONDS, monkeypatch))
    assert report.verdict == ("late" if late > 0 else "early")
    assert report.confident


def test_an_early_film_of_12_pictures_a_second_is_not_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = measure_film(12, 0.0, monkeypatch)
    interval = ConfidenceInterval(low=0.062, high=0.101)
    found = replace(measured.alignment, offset=0.073, offset_interval=interval, match=0.5)
    slow = build_sync_report(replace(measured, alignment=found))
    lips = replace(measured.lip_track, frame_seconds=0.04)
    fast = build_sync_report(replace(measured, alignment=found, lip_track=lips))
    assert (slow.verdict, slow.confident, slow.needs_work) == ("uncertain", False, False)
    assert (fast.verdict, fast.confident, fast.needs_work) == ("early", True, True)
    assert "more pictures a second" in slow.remedy


@given(
    offset=st.floats(-400, 400),
    below=st.floats(0, 200),
    above=st.floats(0, 200),
    fps=st.sampled_from([8, 12, 25, 60]),
    correlation=st.floats(0.2, 1),
)
@settings(max_examples=200, deadline=None)
def test_no_verdict_claims_more_than_its_interval(
    film: SyncMeasurement, offset: float, below: float, above: float, fps: int, correlation: float
) -> None:
    interval = ConfidenceInterval(low=-(offset + above) / 1000, high=(below - offset) / 1000)
    found = replace(film.alignment, offset=-offset / 1000, offset_interval=interval, match=correlation)
    lips = replace(film.lip_track, frame_seconds=1 / fps)
    report = build_sync_report(replace(film, alignment=found, lip_track=lips))
    low, high = report.offset_interval
    match report.verdict:
        case "late":
            assert low > LATE_LIMIT_MS
        case "early":
            assert high < EARLY_LIMIT_MS
        case "in step":
            assert report.confident
        case "uncertain":
            assert not report.needs_work
            assert low <= LATE_LIMIT_MS or correlation < 1.1 * report.needed
            assert high >= EARLY_LIMIT_MS or correlation < 1.1 * report.needed
        case _:
            assert report.verdict == "not the same speech"
            assert correlation < report.needed


def test_a_match_close_to_chance_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = measure_film(25, 0.1, monkeypatch)
    needed = build_sync_report(measured).needed
    weak = replace(measured.alignment, match=1.05 * needed)
    report = build_sync_report(replace(measured, alignment=weak))
    assert (report.verdict, report.confident) == ("uncertain", False)


def test_a_low_match_of_slow_pictures_is_not_another_speech(film: SyncMeasurement) -> None:
    weak = replace(film, alignment=replace(film.alignment, match=0.8 * build_sync_report(film).needed))
    slow = replace(weak, lip_track=replace(film.lip_track, frame_seconds=1 / 12))
    assert build_sync_report(weak).verdict == "not the same speech"
    assert build_sync_report(slow).verdict == "uncertain"


def test_a_short_video_whose_match_may_be_chance_is_uncertain(film: SyncMeasurement) -> None:
    short = replace(film, face_seconds=2.5)
    fair, low = (replace(short, alignment=replace(film.alignment, match=match)) for match in (0.69, 0.4))
    assert build_sync_report(fair).needed > 0.7
    assert build_sync_report(fair).verdict == "uncertain"
    assert build_sync_report(low).verdict == "not the same speech"


def test_a_delay_is_known_better_from_longer_faster_and_closer_tracks() -> None:
    usual = compute_delay_deviation(0.5, 10, 0.04)
    assert compute_delay_deviation(0.5, 40, 0.04) == pytest.approx(usual / 2)
    assert compute_delay_deviation(0.8, 10, 0.04) < usual < compute_delay_deviation(0.5, 10, 0.1)
    assert compute_delay_deviation(0.0, 10, 0.04) == np.inf

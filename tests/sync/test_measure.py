"""Whole videos: a real face and our own, as they are and with their sound moved, swapped, or under a photograph."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from audio.sounds import write_wav
from liveavatar.errors import VideoError
from liveavatar.face.picture import read_picture
from liveavatar.sync.audio_track import extract_audio_track, stream_mono_audio
from liveavatar.sync.fix import fix_sync
from liveavatar.sync.lip_track import LipTrack, extract_lip_track
from liveavatar.sync.measure import compare_tracks, measure_sync
from liveavatar.sync.report import SyncReport, build_sync_report
from liveavatar.video.reader import open_video
from liveavatar.video.remux import shift_sound
from liveavatar.video.writer import VideoWriter
from sync.conftest import ASSETS

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Subject:
    """A video with its lips, which are tracked only once for several sounds."""

    path: Path
    lip_track: LipTrack

    def with_sound(self, path: Path) -> SyncReport:
        return build_sync_report(compare_tracks(path, self.lip_track, extract_audio_track(path), 0.0))

    def shift_late(self, folder: Path, late: float) -> SyncReport:
        """Its report with the sound so many milliseconds earlier, so that the lips are late."""
        output = folder / "moved.mp4"
        shift_sound(self.path, output, late / 1000)
        return self.with_sound(output)


def subject(path: Path) -> Subject:
    with open_video(path) as video:
        return Subject(path=path, lip_track=extract_lip_track(video))


@pytest.fixture(scope="module")
def real_subject(real_face: Path) -> Subject:
    return subject(real_face)


@pytest.fixture(scope="module")
def our_subject(our_own: Path) -> Subject:
    return subject(our_own)


def test_a_real_face_is_in_step(real_subject: Subject) -> None:
    report = real_subject.with_sound(real_subject.path)
    assert report.verdict == "in step"
    assert abs(report.offset) < 40
    assert report.offset_interval[0] < report.offset < report.offset_interval[1]
    assert report.match > report.needed
    assert report.closures_share is not None
    assert report.closures_share > report.closures_by_chance


def test_our_own_video_is_in_step(our_subject: Subject) -> None:
    report = our_subject.with_sound(our_subject.path)
    assert report.verdict == "in step"
    assert abs(report.offset) < 40
    assert report.confident
    assert report.match > 0.5
    assert report.silent_shut is not None
    assert report.silent_shut > 0.9
    assert report.energy_correlation > 0.3


@pytest.mark.parametrize("late", [-400, -150, 100, 400])
def test_finds_the_shift_of_a_real_face(real_subject: Subject, tmp_path: Path, late: int) -> None:
    report = real_subject.shift_late(tmp_path, late)
    assert report.verdict == ("late" if late > 0 else "early")
    assert report.offset - real_subject.with_sound(real_subject.path).offset == pytest.approx(late, abs=20)


@pytest.mark.parametrize("late", [-400, -150, 100, 400])
def test_finds_the_shift_of_our_own(our_subject: Subject, tmp_path: Path, late: int) -> None:
    report = our_subject.shift_late(tmp_path, late)
    assert report.verdict == ("late" if late > 0 else "early")
    assert report.offset - our_subject.with_sound(our_subject.path).offset == pytest.approx(late, abs=20)
    assert "--fix" in report.remedy


@pytest.mark.parametrize("stretch", [-0.05, 0.02])
def test_finds_a_drift(our_subject: Subject, tmp_path: Path, stretch: float) -> None:
    """The clip three times in a row, half a minute, with its sound too slow or too fast."""
    sound = np.concatenate([*stream_mono_audio(our_subject.path)] * 3)
    length = len(sound) / 3 / 16_000
    starts = np.repeat(np.arange(3) * length, len(our_subject.lip_track.times))
    lip_track = LipTrack(
        times=np.tile(our_subject.lip_track.times, 3) + starts,
        openings=np.tile(our_subject.lip_track.openings, 3),
        frame_seconds=0.04,
    )
    long = write_wav(tmp_path / "long.wav", sound[:, None], 16_000)
    drifting = np.interp(np.arange(0, len(sound), 1 + stretch), np.arange(len(sound)), sound)
    short = write_wav(tmp_path / "short.wav", drifting[:, None].astype(np.float32), 16_000)
    assert (
        build_sync_report(compare_tracks(long, lip_track, extract_audio_track(long), 0.0)).verdict
        == "in step"
    )
    report = build_sync_report(compare_tracks(short, lip_track, extract_audio_track(short), 0.0))
    assert report.verdict == "drifting"
    assert report.drift == pytest.approx(60_000 * stretch / (1 + stretch), rel=0.1)


def test_fixes_a_video(our_subject: Subject, tmp_path: Path) -> None:
    late, output = tmp_path / "late.mp4", tmp_path / "fixed.mp4"
    shift_sound(our_subject.path, late, 0.25)
    measured = measure_sync(late)
    fix_sync(measured, build_sync_report(measured), output)
    assert abs(build_sync_report(measure_sync(output)).offset) < 10


def test_detects_another_speech(our_subject: Subject, real_subject: Subject, tmp_path: Path) -> None:
    for one, sound in (
        (our_subject, ASSETS / "demo_zh.ogg"),
        (our_subject, real_subject.path),
        (real_subject, ASSETS / "demo_en.ogg"),
    ):
        report = one.with_sound(sound)
        assert report.verdict == "not the same speech"
        assert not report.confident


def test_a_photograph_does_not_match_speech(photograph: Path, tmp_path: Path) -> None:
    rgb = np.ascontiguousarray(read_picture(photograph)[:, :510])
    path, output = tmp_path / "still.mp4", tmp_path / "fixed.mp4"
    with VideoWriter(path, Fraction(10), (510, 600), ASSETS / "demo_en.ogg") as writer:
        for _ in range(50):
            writer.write(rgb)
    measured = measure_sync(path)
    report = build_sync_report(measured)
    assert report.verdict == "not the same speech"
    with pytest.raises(VideoError, match="cannot be fixed"):
        fix_sync(measured, report, output)
    assert not output.exists()


def test_refuses_to_fix_an_uncertain_offset(our_subject: Subject, tmp_path: Path) -> None:
    measured = compare_tracks(
        our_subject.path, our_subject.lip_track, extract_audio_track(our_subject.path), 0.0
    )
    unsure = replace(build_sync_report(measured), confident=False)
    with pytest.raises(VideoError, match="lies anywhere"):
        fix_sync(measured, unsure, tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


def test_needs_a_face_and_a_sound(tmp_path: Path) -> None:
    faceless, silent = tmp_path / "faceless.mp4", tmp_path / "silent.mp4"
    for path, sound in ((faceless, ASSETS / "demo_en.ogg"), (silent, None)):
        with VideoWriter(path, Fraction(5), (64, 64), sound) as writer:
            for _ in range(15):
                writer.write(np.full((64, 64, 3), 120, np.uint8))
    with pytest.raises(VideoError, match="shows a face for only"):
        measure_sync(faceless)
    with pytest.raises(VideoError, match="no sound"):
        measure_sync(silent)

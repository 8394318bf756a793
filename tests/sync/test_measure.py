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


@dataclass(frozen=True)
class Subject:
    """A video whose lips were looked at once: they are the same whatever is heard."""

    path: Path
    seen: LipTrack

    def with_sound(self, path: Path) -> SyncReport:
        return build_sync_report(compare_tracks(path, self.seen, extract_audio_track(path), 0.0))

    def moved(self, folder: Path, late: float) -> SyncReport:
        """Its sound earlier by so many milliseconds, so that the lips are late."""
        output = folder / "moved.mp4"
        shift_sound(self.path, output, late / 1000)
        return self.with_sound(output)


def subject(path: Path) -> Subject:
    with open_video(path) as video:
        return Subject(path=path, seen=extract_lip_track(video))


@pytest.fixture(scope="module")
def real(real_face: Path) -> Subject:
    return subject(real_face)


@pytest.fixture(scope="module")
def ours(our_own: Path) -> Subject:
    return subject(our_own)


def test_a_real_face_is_in_step(real: Subject) -> None:
    found = real.with_sound(real.path)
    assert found.verdict == "in step"
    assert abs(found.offset) < 40
    assert found.offset_interval[0] < found.offset < found.offset_interval[1]
    assert found.match > found.needed
    assert found.closures_share is not None
    assert found.closures_share > found.closures_by_chance


def test_our_own_video_is_in_step(ours: Subject) -> None:
    found = ours.with_sound(ours.path)
    assert found.verdict == "in step"
    assert abs(found.offset) < 40
    assert found.confident
    assert found.match > 0.5
    assert found.silent_shut is not None
    assert found.silent_shut > 0.9
    assert found.energy_correlation > 0.3


@pytest.mark.parametrize("late", [-400, -150, 100, 400])
def test_finds_how_a_real_face_was_moved(real: Subject, tmp_path: Path, late: int) -> None:
    found = real.moved(tmp_path, late)
    assert found.verdict == ("late" if late > 0 else "early")
    assert found.offset - real.with_sound(real.path).offset == pytest.approx(late, abs=20)


@pytest.mark.parametrize("late", [-400, -150, 100, 400])
def test_finds_how_our_own_was_moved(ours: Subject, tmp_path: Path, late: int) -> None:
    found = ours.moved(tmp_path, late)
    assert found.verdict == ("late" if late > 0 else "early")
    assert found.offset - ours.with_sound(ours.path).offset == pytest.approx(late, abs=20)
    assert "--fix" in found.remedy


@pytest.mark.parametrize("stretch", [-0.05, 0.02])
def test_finds_a_drift(ours: Subject, tmp_path: Path, stretch: float) -> None:
    """The clip three times in a row, half a minute, with its sound too slow or too fast."""
    sound = np.concatenate([*stream_mono_audio(ours.path)] * 3)
    length = len(sound) / 3 / 16_000
    starts = np.repeat(np.arange(3) * length, len(ours.seen.times))
    seen = LipTrack(
        times=np.tile(ours.seen.times, 3) + starts,
        openings=np.tile(ours.seen.openings, 3),
        frame_seconds=0.04,
    )
    long = write_wav(tmp_path / "long.wav", sound[:, None], 16_000)
    drifting = np.interp(np.arange(0, len(sound), 1 + stretch), np.arange(len(sound)), sound)
    short = write_wav(tmp_path / "short.wav", drifting[:, None].astype(np.float32), 16_000)
    assert build_sync_report(compare_tracks(long, seen, extract_audio_track(long), 0.0)).verdict == "in step"
    found = build_sync_report(compare_tracks(short, seen, extract_audio_track(short), 0.0))
    assert found.verdict == "drifting"
    assert found.drift == pytest.approx(60_000 * stretch / (1 + stretch), rel=0.1)


def test_mends_a_video(ours: Subject, tmp_path: Path) -> None:
    late, output = tmp_path / "late.mp4", tmp_path / "mended.mp4"
    shift_sound(ours.path, late, 0.25)
    measured = measure_sync(late)
    fix_sync(measured, build_sync_report(measured), output)
    assert abs(build_sync_report(measure_sync(output)).offset) < 10


def test_knows_another_speech(ours: Subject, real: Subject, tmp_path: Path) -> None:
    for one, sound in ((ours, ASSETS / "demo_zh.ogg"), (ours, real.path), (real, ASSETS / "demo_en.ogg")):
        found = one.with_sound(sound)
        assert found.verdict == "not the same speech"
        assert not found.confident


def test_a_photograph_does_not_speak(photograph: Path, tmp_path: Path) -> None:
    rgb = np.ascontiguousarray(read_picture(photograph)[:, :510])
    path, output = tmp_path / "still.mp4", tmp_path / "mended.mp4"
    with VideoWriter(path, Fraction(10), (510, 600), ASSETS / "demo_en.ogg") as writer:
        for _ in range(50):
            writer.write(rgb)
    measured = measure_sync(path)
    found = build_sync_report(measured)
    assert found.verdict == "not the same speech"
    with pytest.raises(VideoError, match="cannot be fixed"):
        fix_sync(measured, found, output)
    assert not output.exists()


def test_refuses_to_mend_what_is_unsure(ours: Subject, tmp_path: Path) -> None:
    measured = compare_tracks(ours.path, ours.seen, extract_audio_track(ours.path), 0.0)
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

"""The mark is found after changes of the frame; nothing is found where there is none."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from liveavatar.errors import VideoError
from liveavatar.frames import Picture
from liveavatar.provenance import watermark_detection
from liveavatar.provenance.watermark import WatermarkEmbedder
from liveavatar.provenance.watermark_detection import (
    WatermarkFinding,
    analyse_scales,
    average_frames,
    average_parts,
    detect_watermark,
    estimate_false_alarm_probability,
    find_mark,
    normalise_contrast,
)
from liveavatar.provenance.watermark_pattern import DEFAULT_KEY, WatermarkKey
from liveavatar.video.writer import VideoWriter


def find_in_frames(*frames: Picture, key: WatermarkKey = DEFAULT_KEY) -> WatermarkFinding:
    average = average_frames(frames)
    assert average is not None
    return find_mark(analyse_scales(normalise_contrast(average)), key)


@pytest.fixture(scope="module")
def original(photograph: Path) -> Picture:
    picture = cv2.cvtColor(np.asarray(cv2.imread(str(photograph))), cv2.COLOR_BGR2RGB)
    return np.asarray(picture[:512], np.uint8)


@pytest.fixture(scope="module")
def marked(original: Picture) -> Picture:
    return WatermarkEmbedder((512, 512)).embed(original)


def test_a_marked_frame_is_found_at_its_own_scale(marked: Picture) -> None:
    finding = find_in_frames(marked)
    assert finding.is_found
    assert finding.scale == pytest.approx(1, abs=0.005)
    assert finding.offset == pytest.approx((0.5, 0.5), abs=0.01)
    assert not finding.is_mirrored


def test_a_mirrored_crop_of_another_size_is_found(marked: Picture) -> None:
    crop = marked[30:-20, 20:-30]
    small = np.asarray(cv2.resize(crop[:, ::-1], (333, 333), interpolation=cv2.INTER_AREA), np.uint8)
    finding = find_in_frames(small)
    assert finding.is_found
    assert finding.scale == pytest.approx(512 / 462, abs=0.005)
    assert finding.is_mirrored


def test_nothing_is_found_without_a_mark_or_with_another_key(original: Picture, marked: Picture) -> None:
    assert not find_in_frames(original).is_found
    assert not find_in_frames(marked, key=WatermarkKey(b"other")).is_found


def test_flat_frames_carry_no_mark() -> None:
    flat = np.full((128, 128, 3), 77, np.uint8)
    assert not find_in_frames(flat, flat).is_found


def test_frames_of_changing_size_are_averaged() -> None:
    average = average_frames([np.full((60, 80, 3), 10, np.uint8), np.full((120, 160, 3), 30, np.uint8)])
    assert average is not None
    assert average.shape == (60, 80)
    assert np.allclose(average, 20)


def test_larger_correlations_are_less_likely_by_chance() -> None:
    chances = [estimate_false_alarm_probability(strength) for strength in (-3, 0, 4, 5, 6, 7, 8, 20, 60)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] == 1
    assert 0 <= chances[-1] < chances[-2] < 1e-50


@pytest.mark.slow
def test_a_written_video_is_found(marked: Picture, original: Picture, tmp_path: Path) -> None:
    for name, frame in (("marked.mp4", marked), ("plain.mp4", original)):
        with VideoWriter(tmp_path / name, Fraction(25), (512, 512)) as writer:
            for _ in range(10):
                writer.write(frame)
    assert detect_watermark(tmp_path / "marked.mp4").is_found
    assert not detect_watermark(tmp_path / "plain.mp4").is_found


def test_a_long_video_of_which_a_part_is_marked_is_found(
    marked: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermark_detection, "_MAX_FRAMES", 10)
    film = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    small = np.asarray(cv2.resize(marked, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    with VideoWriter(tmp_path / "mixed.mp4", Fraction(25), (256, 256)) as writer:
        for number in range(40):
            writer.write(small if number >= 30 else film)
    assert len(average_parts(tmp_path / "mixed.mp4")) == 5
    assert detect_watermark(tmp_path / "mixed.mp4").is_found


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    path.write_text("no video")
    with pytest.raises(VideoError):
        detect_watermark(path)

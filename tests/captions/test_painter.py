"""Captions in frames: where and when."""

from fractions import Fraction

import numpy as np
import pytest

from liveavatar.captions import painter as painter_module
from liveavatar.captions.cues import Cue
from liveavatar.captions.painter import CaptionPainter
from liveavatar.errors import OptionError
from liveavatar.frames import VideoFrame

SIZE = (320, 240)
CUES = [
    Cue(lines=("Hello there,", "my friend"), start=0.2, end=1.0),
    Cue(lines=("A second one that is a little longer",), start=1.0, end=1.5),
]


def make_frame(pts: int, *, transparent: bool = False) -> VideoFrame:
    opacity = np.zeros(SIZE[::-1], np.uint8) if transparent else None
    return VideoFrame(rgb=np.full((*SIZE[::-1], 3), 90, np.uint8), pts=pts, fps=Fraction(25), opacity=opacity)


def find_changed_rows(pts: int) -> list[int]:
    frame = make_frame(pts)
    painted = CaptionPainter(CUES, SIZE).paint_frame(frame)
    assert (frame.rgb == 90).all()
    return np.flatnonzero((painted.rgb != 90).any(axis=(1, 2))).tolist()


@pytest.mark.parametrize(
    ("pts", "is_shown"), [(0, False), (4, False), (5, True), (24, True), (25, True), (37, True), (38, False)]
)
def test_a_caption_is_drawn_in_the_frames_of_its_time(pts: int, is_shown: bool) -> None:
    assert bool(find_changed_rows(pts)) == is_shown


def test_captions_stand_at_the_bottom_in_the_middle() -> None:
    assert min(find_changed_rows(10)) > SIZE[1] * 0.6
    assert max(find_changed_rows(10)) < SIZE[1] * 0.98
    painted = CaptionPainter(CUES, SIZE).paint_frame(make_frame(10)).rgb
    columns = np.flatnonzero((painted != 90).any(axis=(0, 2)))
    assert abs(columns[0] - (SIZE[0] - 1 - columns[-1])) <= 2
    assert painted.max() > 230
    assert painted.min() < 60


def test_the_widest_line_fits_into_narrow_frames() -> None:
    narrow = (128, 240)
    painted = CaptionPainter(CUES, narrow).paint_frame(
        VideoFrame(rgb=np.full((240, 128, 3), 90, np.uint8), pts=30, fps=Fraction(25))
    )
    columns = np.flatnonzero((painted.rgb.max(axis=2) > 150).any(axis=0))
    assert columns[0] > 0
    assert columns[-1] < 127


def test_over_transparency_the_plate_is_opaque_enough_to_read() -> None:
    painted = CaptionPainter(CUES, SIZE).paint_frame(make_frame(10, transparent=True))
    assert painted.opacity is not None
    assert painted.opacity.max() == 255
    assert not painted.opacity[: SIZE[1] // 2].any()


def test_without_a_font_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painter_module, "find_installed_font", lambda _: None)
    with pytest.raises(
        OptionError, match=r"no font .* has all characters of the captions; install one, such as"
    ):
        CaptionPainter([Cue(lines=("你好",), start=0, end=1)], SIZE)

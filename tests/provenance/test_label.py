"""The visible label: large enough, at the top right, readable on any ground, in Chinese without any font."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from liveavatar.errors import OptionError
from liveavatar.frames import Picture
from liveavatar.provenance.label import fonts, lettering
from liveavatar.provenance.label.strokes import SIGN_STROKES
from liveavatar.provenance.label.visible_label import VisibleLabel, choose_label_text

SIZES = [(64, 64), (128, 96), (256, 256), (704, 384), (1080, 1920), (1920, 1080)]
GROUNDS: dict[str, Callable[[int, int], Picture]] = {
    "light": lambda width, height: np.full((height, width, 3), 255, np.uint8),
    "dark": lambda width, height: np.zeros((height, width, 3), np.uint8),
    "busy": lambda width, height: np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8),
}


def find_text(labelled: Picture) -> tuple[slice, slice]:
    """Rows and columns of the text: white on a plate on a black ground."""
    bright = labelled.max(axis=2) > 140
    rows, columns = np.nonzero(bright.any(axis=1))[0], np.nonzero(bright.any(axis=0))[0]
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


@pytest.mark.parametrize("text", ["AI生成", "AI generated", "AI合成数字人"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_text_is_large_enough_and_at_the_top_right(text: str, size: tuple[int, int]) -> None:
    width, height = size
    rows, columns = find_text(VisibleLabel(text, size).draw(GROUNDS["dark"](width, height)))
    assert rows.stop - rows.start >= 0.05 * min(size)
    assert rows.start > 0
    assert rows.stop < 0.25 * height + 12
    assert width - columns.stop < 0.1 * width + 4
    assert columns.start > 0


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", ["AI生成", "AI generated"])
def test_the_text_stands_out_on_any_ground(text: str, ground: str) -> None:
    label, plain = VisibleLabel(text, (512, 512)), GROUNDS[ground](512, 512)
    ink = label.draw(GROUNDS["dark"](512, 512)).min(axis=2) > 250
    grey = label.draw(plain).mean(axis=2)
    plate = np.zeros_like(ink)
    plate[label.box] = True
    away = label.draw(GROUNDS["dark"](512, 512)).max(axis=2) < 20
    assert grey[ink].min() > 250
    assert np.quantile(grey[plate & away], 0.8) < 120


def test_only_the_box_changes_and_the_frame_itself_does_not() -> None:
    label, plain = VisibleLabel("AI", (200, 100)), GROUNDS["busy"](200, 100)
    before = plain.copy()
    labelled = label.draw(plain)
    assert np.array_equal(plain, before)
    assert not np.array_equal(labelled[label.box], plain[label.box])
    labelled[label.box] = plain[label.box]
    assert np.array_equal(labelled, plain)
    assert np.array_equal(label.draw(plain, 0.0), plain)


def test_frames_in_which_nothing_can_be_read_stay_as_they_are() -> None:
    plain = GROUNDS["busy"](16, 16)
    assert np.array_equal(VisibleLabel("AI生成", (16, 16)).draw(plain), plain)


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({}, "AI generated"),
        ({"LANG": "zh_CN.UTF-8"}, "AI生成"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "AI generated"),
        ({"LANG": "de_DE", "LC_MESSAGES": "zh_TW"}, "AI生成"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": ""}, "AI generated"),
    ],
)
def test_auto_follows_the_locale(environment: dict[str, str], text: str) -> None:
    assert choose_label_text("auto", environment) == text
    assert choose_label_text("none", environment) is None
    assert choose_label_text(" AUTO", environment) == text
    assert choose_label_text("None", environment) is None
    assert choose_label_text("made by AI", environment) == "made by AI"


def test_spaces_of_any_width_become_plain_ones() -> None:
    assert choose_label_text("AI\u3000生成\u00a0") == "AI 生成"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("", "is not a line of text"),
        ("  ", "is not a line of text"),
        ("two\nlines", "is not a line of text"),
        ("\x1b[31m", "is not a line of text"),
        (7, "is not a line of text"),
        (np.array(["a", "b"]), "is not a line of text"),
        ("x" * 61, "has 61 characters, more than 60"),
        ("𓂀 hieroglyphs", "no font on this machine has all characters"),
    ],
)
def test_an_unusable_label_is_one_line(label: object, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "find_installed_font", lambda _text: None)
    with pytest.raises(OptionError, match=message):
        choose_label_text(label)


def test_a_text_that_does_not_fit_is_refused() -> None:
    with pytest.raises(OptionError, match="is too long for frames of 64x64"):
        VisibleLabel("this head was animated by a program", (64, 64))


def test_other_characters_need_a_font_that_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own font, saved as a file, is the only one of this machine."""
    builtin = ImageFont.load_default(20)
    assert isinstance(builtin, ImageFont.FreeTypeFont)
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    builtin.path.seek(0)  # type: ignore[union-attr]  # it is opened from memory
    (tmp_path / "fonts.ttf").write_bytes(builtin.path.read())  # type: ignore[union-attr]
    monkeypatch.setattr(fonts, "_FONT_FOLDERS", (str(tmp_path),))
    fonts.find_installed_font.cache_clear()
    assert fonts.find_installed_font("KI erzeugt") == tmp_path / "fonts.ttf"
    assert fonts.find_installed_font("生") is None


def test_our_signs_fill_their_square_and_differ() -> None:
    masks = {}
    for sign in SIGN_STROKES:
        mask = lettering.draw_text(lettering.choose_lettering(sign), 40)
        assert 40 <= mask.shape[0] <= 48
        assert 32 <= mask.shape[1] <= 52
        masks[sign] = mask.tobytes()
    assert len(set(masks.values())) == len(SIGN_STROKES) == 6

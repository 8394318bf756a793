"""Draws a line of text as a mask of its ink."""

from collections.abc import Callable
from itertools import groupby

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from liveavatar.errors import OptionError
from liveavatar.files import describe_path
from liveavatar.frames import Picture
from liveavatar.provenance.label.fonts import Font, find_installed_font, has_glyphs, open_builtin_font
from liveavatar.provenance.label.strokes import SIGN_STROKES

_OVERSAMPLING = 8
_STROKE_WIDTH = 0.11
"""Of the lines of a sign, relative to its size."""
_SIGN_GAP = 0.12
"""Between signs, relative to their size."""
_CAPITAL_HEIGHT = 0.9
"""Of letters beside signs, relative to the size of a sign."""
_PROBED_SIZE = 32.0

Lettering = Callable[[int], Picture]
"""Draws a text at a size in pixels, about that of its ink: a mask, uint8 [height, width]."""


def choose_lettering(text: str) -> Lettering:
    """How a text is drawn: by Pillow's font and our own signs, else by a font of this machine.

    Raises:
        OptionError: no font here has all of its characters.
    """
    builtin = open_builtin_font(_PROBED_SIZE)
    letters = "".join(character for character in text if character not in SIGN_STROKES)
    if builtin is not None and has_glyphs(builtin, letters):
        return lambda size: _draw_runs(text, size)
    path = find_installed_font(text)
    if path is None:
        raise OptionError(
            f"no font on this machine has all characters of the label {describe_path(text)!r}",
            "install one, such as Noto Sans, or use --label auto",
        )
    return lambda size: _draw_letters(text, ImageFont.truetype(path, size))


def draw_text(lettering: Lettering, height: int) -> Picture:
    """A text whose ink is at least `height` pixels high, as little more as possible: a mask, cut to the ink."""
    size = height
    while (mask := _crop_ink(lettering(size))).shape[0] < height and size < 4 * height:
        size += 1
    return mask


def _draw_runs(text: str, size: int) -> Picture:
    """Signs of ours and letters of Pillow's font, side by side."""
    runs = [(is_sign, "".join(run)) for is_sign, run in groupby(text, lambda sign: sign in SIGN_STROKES)]
    has_signs = any(is_sign for is_sign, _ in runs)
    masks: list[Picture] = []
    for is_sign, run in runs:
        if is_sign:
            masks += [_draw_sign(sign, size) for sign in run]
        elif not has_signs:
            masks.append(_draw_letters(run, _open_font(size)))
        else:
            masks.append(_draw_capitals(run, round(_CAPITAL_HEIGHT * size)))
    gap = np.zeros((1, round(_SIGN_GAP * size)), np.uint8) if has_signs else np.zeros((1, 0), np.uint8)
    return _join_masks(masks, gap)


def _draw_sign(sign: str, size: int) -> Picture:
    scale = _OVERSAMPLING * size / 100
    width = _STROKE_WIDTH * _OVERSAMPLING * size
    canvas = Image.new("L", (_OVERSAMPLING * size, _OVERSAMPLING * size))
    pen = ImageDraw.Draw(canvas)
    for stroke in SIGN_STROKES[sign]:
        points = [(x * scale, y * scale) for x, y in stroke]
        pen.line(points, 255, round(width), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), 255)
    small = cv2.resize(np.asarray(canvas), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _open_font(size: int) -> Font:
    font = open_builtin_font(size)
    if font is None:
        raise OptionError(
            "Pillow was built without FreeType and cannot draw letters", "pip install pillow again"
        )
    return font


def _draw_capitals(text: str, height: int) -> Picture:
    """Letters whose capitals are `height` pixels high."""
    probed = _open_font(100).getbbox("A")
    return _draw_letters(text, _open_font(round(100 * height / (probed[3] - probed[1]))))


def _draw_letters(text: str, font: Font) -> Picture:
    """Letters, from the top of their ink to its bottom; spaces at the ends stay."""
    left, top, right, bottom = font.getbbox(text)
    canvas = Image.new(
        "L", (max(1, round(max(right - left, font.getlength(text)))), max(1, round(bottom - top)))
    )
    ImageDraw.Draw(canvas).text((-left, -top), text, 255, font)
    return np.asarray(canvas, np.uint8)


def _join_masks(masks: list[Picture], gap: Picture) -> Picture:
    """Masks side by side with their middles on one line."""
    height = max(mask.shape[0] for mask in masks)
    pieces = []
    for index, mask in enumerate(masks):
        above = (height - mask.shape[0]) // 2
        pieces.append(np.pad(mask, ((above, height - mask.shape[0] - above), (0, 0))))
        if index < len(masks) - 1:
            pieces.append(np.repeat(gap, height, axis=0))
    return np.hstack(pieces)


def _crop_ink(mask: Picture) -> Picture:
    rows, columns = np.nonzero(mask.max(axis=1) > 127)[0], np.nonzero(mask.max(axis=0))[0]
    if not len(rows):
        return mask[:0, :0]
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

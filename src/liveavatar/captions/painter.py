"""Draws captions into frames: white letters on a dark plate, in the middle of the bottom."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from liveavatar.captions.cues import Cue
from liveavatar.engine import Session
from liveavatar.errors import OptionError
from liveavatar.frames import Samples, VideoFrame
from liveavatar.provenance.label.fonts import Font, find_installed_font, has_glyphs, open_builtin_font
from liveavatar.provenance.label.plate import Patch, blend_patch, blend_patch_over_transparency, draw_plate

_LETTER_SHARE = 0.055
"""Size of the letters, of the frame's shorter side."""

_LEAST_SIZE = 8
_WIDTH_SHARE = 0.9
"""Of the frame's width that a line may take."""

_BOTTOM_SHARE = 0.05
_LINE_SPACING = 0.3
_PADDING = 0.18
_PROBED_SIZE = 32.0
_MAX_FACES = 16
"""Of a font collection."""

FontOpener = Callable[[float], Font]


def choose_caption_font(text: str) -> FontOpener:
    """How a font with all characters of `text` is opened at a size: Pillow's, else one of this machine.

    Raises:
        OptionError: no font here has them all.
    """
    builtin = open_builtin_font(_PROBED_SIZE)
    if builtin is not None and has_glyphs(builtin, text):
        return _open_builtin_again
    path = find_installed_font("".join(sorted(set(text))))
    if path is None:
        raise OptionError(
            "no font on this machine has all characters of the captions",
            "install one, such as Noto Sans CJK, or use --captions srt",
        )
    face = _find_chinese_face(path)
    return lambda size: ImageFont.truetype(path, size, face)


class CaptionPainter:
    """Draws the captions of one video of frames of `size` (width, height).

    Raises:
        OptionError: no font has their characters.
    """

    def __init__(self, cues: Sequence[Cue], size: tuple[int, int]) -> None:
        self._cues, self._size = cues, size
        self._starts = [cue.start for cue in cues]
        lines = [line for cue in cues for line in cue.lines]
        self._font = _fit_font(choose_caption_font("".join(lines)), lines, size)
        self._draw_cue = lru_cache(maxsize=2)(self._draw_patch)

    def paint_frame(self, frame: VideoFrame) -> VideoFrame:
        """The frame with the caption of its time, if there is one. Its picture is never changed in place."""
        index = bisect_right(self._starts, float(frame.time)) - 1
        if index < 0 or float(frame.time) >= self._cues[index].end:
            return frame
        patch = self._draw_cue(index)
        box = self._place_patch(patch)
        if frame.opacity is None:
            return replace(frame, rgb=blend_patch(frame.rgb, patch, box))
        rgb, shown = blend_patch_over_transparency(frame.rgb, frame.opacity, patch, box)
        return replace(frame, rgb=rgb, opacity=shown)

    def _draw_patch(self, index: int) -> Patch:
        """The plate of a cue, cut to the frame."""
        text = "\n".join(self._cues[index].lines)
        spacing = _LINE_SPACING * self._font.size
        left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
            (0, 0), text, self._font, spacing=spacing, align="center"
        )
        canvas = Image.new("L", (round(right - left), round(bottom - top)))
        pen = ImageDraw.Draw(canvas)
        pen.multiline_text((-left, -top), text, 255, self._font, spacing=spacing, align="center")
        return draw_plate(np.asarray(canvas, np.uint8), _PADDING)[: self._size[1], : self._size[0]]

    def _place_patch(self, patch: Patch) -> tuple[slice, slice]:
        height, width = patch.shape[:2]
        top = max(0, self._size[1] - height - round(_BOTTOM_SHARE * self._size[1]))
        left = (self._size[0] - width) // 2
        return slice(top, top + height), slice(left, left + width)


class CaptionedSession:
    """A session whose frames carry captions. It is used like the session itself."""

    def __init__(self, session: Session, painter: CaptionPainter) -> None:
        self._session, self._painter = session, painter

    @property
    def lookahead(self) -> int:
        """That of the session."""
        return self._session.lookahead

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz."""
        self._session.push(samples)

    def flush(self) -> None:
        """The sound is over."""
        self._session.flush()

    def interrupt(self) -> None:
        """Drop sound that has not become a frame yet."""
        self._session.interrupt()

    def frames(self) -> Iterator[VideoFrame]:
        """The session's frames with their captions, as they are taken."""
        return map(self._painter.paint_frame, self._session.frames())


def _fit_font(open_font: FontOpener, lines: Sequence[str], size: tuple[int, int]) -> Font:
    """The font as large as usual, or smaller if the widest line needs it."""
    usual = max(_LEAST_SIZE, round(_LETTER_SHARE * min(size)))
    widest = max((open_font(usual).getlength(line) for line in lines), default=0.0)
    room = _WIDTH_SHARE * size[0]
    return open_font(usual if widest <= room else max(_LEAST_SIZE, int(usual * room / widest)))


def _open_builtin_again(size: float) -> Font:
    font = open_builtin_font(size)
    if font is None:
        raise OptionError(
            "Pillow was built without FreeType and cannot draw letters", "pip install pillow again"
        )
    return font


def _find_chinese_face(path: Path) -> int:
    """The face of a collection with the shapes of simplified Chinese, else the first one."""
    for index in range(_MAX_FACES):
        try:
            family = ImageFont.truetype(path, _PROBED_SIZE, index).getname()[0] or ""
        except OSError:  # no more faces
            break
        if family.endswith(" SC"):
            return index
    return 0

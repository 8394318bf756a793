"""The visible label: a text on a dark plate in the top right corner of a frame."""

import math
import os
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import OptionError
from liveavatar.files import describe_path, is_one_line
from liveavatar.frames import Picture
from liveavatar.provenance.label.lettering import choose_lettering, draw_text
from liveavatar.provenance.label.plate import blend_patch, blend_patch_over_transparency, draw_plate

AUTO_LABEL, NO_LABEL = "auto", "none"
"""Values of an option that are no text."""

CHINESE_LABEL, ENGLISH_LABEL = "AI生成", "AI generated"

TEXT_SHARE = 0.05
"""Of the frame's shorter side: the least height of the text (GB 45438-2025)."""

_USUAL_SHARE = 0.056
_LEGIBLE_HEIGHT = 11
"""Pixels of the text's ink in small frames, as far as it fits. Fewer are hard to read."""
_MIN_SIDE = 32
"""Pixels of the shorter side below which nothing can be read. Engines draw no such frames."""
_MAX_CHARACTERS = 60
_MARGIN, _PADDING = 0.4, 0.45
"""Around the plate, and around the text, relative to the height of the text."""


def choose_label_text(label: object, environment: Mapping[str, str] = os.environ) -> str | None:
    """The text of the option `label`: "auto" follows the locale, "none" is None, in capitals too; else the text itself.

    Spaces of any width become plain ones.

    Raises:
        OptionError: it is no text of one line, too long, or no font has its characters.
    """
    if not is_one_line(label):
        raise OptionError(f"the label {label!r} is not a line of text", "use auto, none, or the text to show")
    text = " ".join(label.split())
    if text.lower() == NO_LABEL:
        return None
    if text.lower() == AUTO_LABEL:
        names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        return CHINESE_LABEL if next(filter(None, names), "").startswith("zh") else ENGLISH_LABEL
    if len(text) > _MAX_CHARACTERS:
        raise OptionError(
            f"the label has {len(text)} characters, more than {_MAX_CHARACTERS}", "use a shorter text"
        )
    choose_lettering(text)
    return text


class VisibleLabel:
    """A text for frames of one size (width, height), drawn once and blended into its box of a frame.

    It is at least `TEXT_SHARE` of the shorter side high. Frames of less than 32 pixels carry none.

    Raises:
        OptionError: the text is too long for frames of that size, or no font has its characters.
    """

    def __init__(self, text: str, size: tuple[int, int]) -> None:
        self._patch: NDArray[np.float32] | None = None
        if min(size) >= _MIN_SIDE:
            self._patch = _fit_patch(text, size)

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of a frame that the label covers; the columns count from the right."""
        if self._patch is None:
            return slice(0), slice(0)
        height, width = self._patch.shape[:2]
        margin = _find_margin(height)
        return slice(margin, margin + height), slice(-margin - width, -margin)

    def draw(self, rgb: Picture, opacity: float = 1.0) -> Picture:
        """A copy of a frame, uint8 [height, width, 3], with the label; 0 is invisible, 1 is all there."""
        return rgb.copy() if self._patch is None else blend_patch(rgb, self._patch, self.box, opacity)

    def draw_over_transparency(
        self, rgb: Picture, shown: NDArray[np.uint8], opacity: float = 1.0
    ) -> tuple[Picture, NDArray[np.uint8]]:
        """Copies of a frame that is not premultiplied, and of its opacity `shown`, with the label over both."""
        if self._patch is None:
            return rgb.copy(), shown.copy()
        return blend_patch_over_transparency(rgb, shown, self._patch, self.box, opacity)


@lru_cache(maxsize=8)
def _fit_patch(text: str, size: tuple[int, int]) -> NDArray[np.float32]:
    """The label as large as usual, or smaller down to the least that is allowed, if the frame is narrow."""
    lettering, side = choose_lettering(text), min(size)
    least = math.ceil(TEXT_SHARE * side)
    usual = max(math.ceil(_USUAL_SHARE * side), _LEGIBLE_HEIGHT)
    for height in range(usual, least - 1, -1):
        patch = draw_plate(draw_text(lettering, height), _PADDING)
        margin = _find_margin(patch.shape[0])
        if patch.shape[1] + 2 * margin <= size[0] and patch.shape[0] + 2 * margin <= size[1]:
            return patch
    raise OptionError(
        f"the label {describe_path(text)!r} is too long for frames of {size[0]}x{size[1]}",
        "use a shorter text",
    )


def _find_margin(patch_height: int) -> int:
    return max(1, round(patch_height * _MARGIN / (1 + 2 * _PADDING)))

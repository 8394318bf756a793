"""Which fonts have the characters of a text, and where the fonts of this machine are."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

_FONT_FOLDERS = (
    "~/.local/share/fonts",
    "~/.fonts",
    "~/Library/Fonts",
    "/usr/local/share/fonts",
    "/usr/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
)
_FONT_SUFFIXES = {".ttf", ".otf", ".ttc"}
_MAX_FONTS = 5000
_PROBED_SIZE = 24.0
_MISSING_CHARACTER = "\uffff"
"""No character, by Unicode's own definition: every font shows its picture for a missing one."""

Font = ImageFont.FreeTypeFont


def has_glyphs(font: Font, text: str) -> bool:
    """Whether a font draws each character of a text other than as a missing one."""
    missing = bytes(font.getmask(_MISSING_CHARACTER))
    return all(
        bytes(font.getmask(character)) != missing for character in set(text) if not character.isspace()
    )


def open_builtin_font(size: float) -> Font | None:
    """The font that comes with Pillow, or None where Pillow was built without FreeType."""
    font = ImageFont.load_default(size)
    return font if isinstance(font, ImageFont.FreeTypeFont) else None


@lru_cache(maxsize=64)
def find_installed_font(text: str) -> Path | None:
    """The first font file of this machine, by its name, that has all characters of a text."""
    for path in _list_font_files():
        try:
            if has_glyphs(ImageFont.truetype(path, _PROBED_SIZE), text):
                return path
        except (OSError, ValueError):  # damaged, or bitmaps of fixed sizes
            continue
    return None


def _list_font_files() -> Iterator[Path]:
    """Font files of the usual folders, upright and regular ones first, `_MAX_FONTS` at most."""
    found = [
        Path(folder, name)
        for start in _FONT_FOLDERS
        for folder, _, names in os.walk(Path(start).expanduser())
        for name in names
        if Path(name).suffix.lower() in _FONT_SUFFIXES
    ]
    yield from sorted(found, key=_rank_font_name)[:_MAX_FONTS]


def _rank_font_name(path: Path) -> tuple[int, str]:
    name = path.stem.lower()
    is_plain = not any(
        word in name for word in ("italic", "oblique", "bold", "light", "thin", "mono", "narrow")
    )
    return (0 if "sans" in name and is_plain else 1 if is_plain else 2), str(path)

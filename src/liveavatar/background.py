"""What stands behind the person: the portrait's own background, nothing, a colour or a picture."""

import re
from pathlib import Path

import cv2
import numpy as np

from liveavatar.engine import Actor, SeparableActor
from liveavatar.errors import OptionError, PortraitError
from liveavatar.face.picture import read_picture
from liveavatar.files import require_regular_file
from liveavatar.frames import Picture

TRANSPARENT = "transparent"

_COLOUR = re.compile(r"#([0-9a-fA-F]{6})")


def check_background(background: str | None) -> None:
    """Refuse a background that cannot be used, before any work is done; None is the portrait's own.

    Raises:
        OptionError: it is no colour.
        PortraitError: it is no file.
    """
    if background is not None and background != TRANSPARENT and _parse_colour(background) is None:
        require_regular_file(background, PortraitError, "picture")


def find_background_file(background: str | None) -> Path | None:
    """The file of a background that is a picture."""
    is_file = background is not None and background != TRANSPARENT and _parse_colour(background) is None
    return Path(background) if is_file and background is not None else None


def replace_background(actor: Actor, background: str | None) -> Actor:
    """The person of `actor` before `background`: `transparent`, `#RRGGBB` or the name of a picture's file.

    A picture covers the frame; what exceeds it is cut evenly on both sides. None keeps the portrait's own.

    Raises:
        OptionError: it is no colour, or the engine does not separate the person from the background.
        PortraitError: the picture cannot be read.
    """
    if background is None:
        return actor
    if not isinstance(actor, SeparableActor):
        raise OptionError("--background has no effect with this engine", "leave it out, or use --engine mesh")
    if background == TRANSPARENT:
        return actor.replace_background(None)
    colour = _parse_colour(background)
    if colour is None:
        return actor.replace_background(_cover_frame(read_picture(background), actor.size))
    width, height = actor.size
    return actor.replace_background(np.full((height, width, 3), colour, np.uint8))


def _parse_colour(text: str) -> tuple[int, int, int] | None:
    """Red, green and blue of `#RRGGBB`; None if `text` is no colour."""
    match = _COLOUR.fullmatch(text)
    if match is not None:
        red, green, blue = bytes.fromhex(match[1])
        return red, green, blue
    if text.startswith("#") and not Path(text).exists():
        raise OptionError(f"{text[:40]!r} is no colour", "write it as #RRGGBB, such as #00b140")
    return None


def _cover_frame(picture: Picture, size: tuple[int, int]) -> Picture:
    """The middle of a picture, scaled to cover a frame of `size` (width, height)."""
    height, width = picture.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    part_width, part_height = (
        min(side, round(part / scale)) for side, part in zip((width, height), size, strict=True)
    )
    left, top = (width - part_width) // 2, (height - part_height) // 2
    part = picture[top : top + part_height, left : left + part_width]
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, size, interpolation=interpolation), np.uint8)

"""Convert decoded pictures to sRGB: transparency on white, and the colours by the picture's ICC profile."""

import logging
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from liveavatar.frames import Picture

MAX_PROFILE_BYTES = 16_000_000
"""Longer profiles are ignored; those of printers with large tables have some megabytes."""
_UNBOUNDED_TABLES = b"mpet"
"""Type of tags with any number of steps for each colour ("multi-process elements"); hardly any profile has them."""
_SRGB_TOLERANCE = 2
"""Levels of 255: a profile that moves no colour further is one of the many spellings of sRGB, and is not applied."""
_STRIP_PIXELS = 4_000_000
"""Pixels converted at once: a large picture is in memory once as decoded and once as RGB, not four times."""
_PROFILE_MODES = {"RGB ": "RGB", "CMYK": "CMYK", "GRAY": "L"}
"""Pillow's mode of a picture by the colour space in its profile."""
_GREY_MODES = frozenset({"1", "L", "LA", "La"})

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProfileTransform:
    """From the colours of a profile, in Pillow's `mode`, to sRGB."""

    mode: str
    transform: ImageCms.ImageCmsTransform


def convert_to_srgb(image: Image.Image, name: str) -> Picture:
    """RGB [height, width, 3] uint8 of a decoded picture in any mode of Pillow with a white point.

    Transparency is blended on white. A broken profile, and one for other colours than the picture's, is ignored with
    a message that calls the picture `name`.

    Raises:
        ValueError: float or 32-bit numbers, which have no white point.
    """
    if image.mode in {"I", "F"}:
        raise ValueError("numbers without a white point")
    profile = build_profile_transform(image, name)
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        rgb[top : top + rows] = np.asarray(_convert_strip(strip, profile))
    return rgb


def build_profile_transform(image: Image.Image, name: str) -> ProfileTransform | None:
    """The transform of a picture's ICC profile; None without a usable one, and for those that change nothing."""
    data = image.info.get("icc_profile")
    if not data:
        return None
    try:
        if not isinstance(data, bytes) or len(data) > MAX_PROFILE_BYTES or _UNBOUNDED_TABLES in data:
            raise ValueError("no profile, or one that takes too long")
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        mode = _PROFILE_MODES[profile.profile.xcolor_space]
        if mode not in _list_usable_modes(image.mode):
            raise ValueError(f"a profile for {mode} in a picture in {image.mode}")
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
        return None if mode == "RGB" and _is_identity(transform) else ProfileTransform(mode, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, LookupError, TypeError) as error:
        _LOG.warning(
            "the colour profile of %s is ignored, since it is damaged or for another kind of picture", name
        )
        _LOG.debug("colour profile: %s", error)
        return None


def _list_usable_modes(mode: str) -> frozenset[str]:
    """The modes that a profile for a picture in `mode` may have."""
    if mode == "CMYK":
        return frozenset({"CMYK"})
    return frozenset({"RGB", "L"}) if mode in _GREY_MODES or mode.startswith("I;16") else frozenset({"RGB"})


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform from RGB to RGB moves no colour by more than the tolerance."""
    before = _build_colour_cube()
    after = transform.apply(before)
    return bool(np.abs(np.asarray(before, int) - np.asarray(after, int)).max() <= _SRGB_TOLERANCE)


@cache
def _build_colour_cube() -> Image.Image:
    """All colours with levels that are multiples of 17, 256 x 16 pixels."""
    levels = np.mgrid[0:256:17, 0:256:17, 0:256:17].astype(np.uint8)
    return Image.fromarray(levels.reshape(3, 16, 256).transpose(1, 2, 0).copy())


def _convert_strip(image: Image.Image, profile: ProfileTransform | None) -> Image.Image:
    """One strip in RGB."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return _convert_colours(image, profile)
    layers = image.convert("RGBA")
    colours = layers.getchannel("R") if image.mode in _GREY_MODES else layers.convert("RGB")
    layer = _convert_colours(colours, profile)
    layer.putalpha(layers.getchannel("A"))
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layer).convert("RGB")


def _convert_colours(image: Image.Image, profile: ProfileTransform | None) -> Image.Image:
    if profile is None:
        return image.convert("RGB")
    return profile.transform.apply(image.convert(profile.mode))

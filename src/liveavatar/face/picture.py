"""Read a picture file as upright 8-bit RGB of at most 1920 pixels a side. Pillow decodes it."""

import logging
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

from liveavatar.errors import PortraitError
from liveavatar.face.io.colour import convert_to_srgb
from liveavatar.face.io.stored_profile import hide_short_jpeg_profile, take_png_profile
from liveavatar.face.io.structure import STRUCTURE_ERRORS, check_structure
from liveavatar.files import describe_path, open_regular_file, to_path
from liveavatar.frames import Picture

MAX_PICTURE_SIDE = 1920
"""Pixels: larger pictures are reduced to this."""
MAX_PICTURE_PIXELS = 64_000_000
"""Pictures with more pixels are refused before they are decoded."""
_MAX_WEBP_PIXELS = 36_000_000
"""The same for WebP, for which libwebp and Pillow take 24 bytes a pixel."""
_MAX_STORED_SIDE = 65_535
"""Pixels: the longest side of a JPEG or GIF. A longer one belongs to no portrait."""
_MAX_FILE_BYTES = 6 * MAX_PICTURE_PIXELS + 1_000_000  # uncompressed RGB of 16 bits

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow's names; nothing else is tried
_DAMAGE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, MemoryError,
                  struct.error, Image.DecompressionBombError)  # fmt: skip
"""What Pillow raises on damaged files. `Image.open` catches four of these; plugins raise the others on load."""

_LOG = logging.getLogger(__name__)
_EXPORT_REMEDY = "export or download it again"
_WARNINGS_LOCK = threading.Lock()  # warnings.catch_warnings is not thread-safe


def read_picture(path: Path | str) -> Picture:
    """RGB [height, width, 3] uint8 in sRGB, upright, at most 1920 pixels on the long side.

    EXIF orientation and ICC profile are applied. Transparency is blended on white. Grey, palette, CMYK and 16-bit
    pictures are converted to 8-bit RGB. Of an animation, the first picture is taken.

    Raises:
        PortraitError: not a readable regular file, empty, not a picture, damaged, or over 64 megapixels.
    """
    name = describe_path(to_path(path, PortraitError, "picture"))
    with _log_warnings():
        return reduce_picture(_decode_picture(_read_bytes(path, name), name))


def reduce_picture(rgb: Picture, side: int = MAX_PICTURE_SIDE) -> Picture:
    """`rgb` area-averaged to `side` pixels on its long side; a smaller one is returned as it is."""
    height, width = rgb.shape[:2]
    scale = side / max(width, height)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _decode_picture(data: bytes, name: str) -> Picture:
    kind = _detect_format(data, name)
    try:
        announced = check_structure(kind, data)
        if announced:
            _check_size(announced, kind, name)
        data, profile = take_png_profile(data) if kind == "PNG" else (data, b"")
        if kind == "JPEG":
            data, is_short = hide_short_jpeg_profile(data)
            if is_short:
                _LOG.warning("the colour profile of %s is ignored, since it is cut short", name)
        image: ImageFile = Image.OPEN[kind][0](BytesIO(data), "")  # without a name: nothing is opened again
        if profile:
            image.info["icc_profile"] = profile
        # Pillow swaps the sides of a TIFF that lies on a side.
        if announced and sorted(announced) != sorted(image.size):
            raise ValueError(f"{announced} for one decoder, {image.size} for another")
        del data  # now only in the image
        _check_size(image.size, kind, name)
        return _decode_image(image, name)
    except (*_DAMAGE_ERRORS, *STRUCTURE_ERRORS) as error:
        _LOG.debug("decoding %s: %s", name, error)
        raise PortraitError(
            f"{name} is a damaged {kind} file, or one of a rare kind", _EXPORT_REMEDY
        ) from error


def _read_bytes(path: object, name: str) -> bytes:
    with open_regular_file(path, PortraitError, "picture") as file:
        data = file.read(_MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise PortraitError(
            f"{name} has over {_MAX_FILE_BYTES:,} bytes, too many for a picture", "give one picture file"
        )
    return data


def _detect_format(data: bytes, name: str) -> str:
    """Pillow's name of the format, by the first bytes; the suffix means nothing.

    `Image.open` is not used: its limit on pixels is a global of Pillow, and is reported without the size.
    """
    Image.init()
    for kind in _FORMATS:
        accept = Image.OPEN[kind][1]
        if accept is not None and accept(data[:16]):
            return kind
    raise PortraitError(f"{name} is not a picture that can be read", _suggest_conversion(data))


def _check_size(size: tuple[int, int], kind: str, name: str) -> None:
    limit = _MAX_WEBP_PIXELS if kind == "WEBP" else MAX_PICTURE_PIXELS
    remedy = ""
    if max(size) > _MAX_STORED_SIDE:
        remedy = f"reduce it to sides of {_MAX_STORED_SIDE:,} pixels or fewer"
    if size[0] * size[1] > limit:
        remedy = f"reduce it to {limit // 1_000_000} megapixels or fewer"
    if remedy:
        raise PortraitError(f"{name} claims to have {size[0]:,} x {size[1]:,} pixels", remedy)


def _suggest_conversion(data: bytes) -> str:
    phone = data[4:8] == b"ftyp" and data[8:12] in {b"heic", b"heix", b"mif1", b"avif"}
    return "convert this HEIC or AVIF picture to JPEG" if phone else "use JPEG, PNG, WebP, TIFF, BMP or GIF"


def _decode_image(image: ImageFile, name: str) -> Picture:
    scale = max(1.0, max(image.size) / MAX_PICTURE_SIDE)
    image.draft(image.mode, (max(1, int(image.width / scale)), max(1, int(image.height / scale))))
    image.load()
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    rgb = convert_to_srgb(image, name)
    image.close()
    return _turn_upright(rgb, orientation)


def _turn_upright(rgb: Picture, orientation: object) -> Picture:
    """Undo an EXIF orientation: 2, 4, 5 and 7 are mirrored, 5 to 8 lie on a side; any other value means upright."""
    if orientation in {5, 6, 7, 8}:
        rgb = rgb.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        rgb = rgb[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)


@contextmanager
def _log_warnings() -> Iterator[None]:
    """Pillow warns of harmless defects, such as corrupt EXIF data: log them."""
    with _WARNINGS_LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                _LOG.debug("reading the picture: %s", warning.message)

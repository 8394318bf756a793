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
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile

from liveavatar.errors import PortraitError
from liveavatar.frames import Picture

MAX_PICTURE_SIDE = 1920
"""Pixels: larger pictures are reduced to this."""
MAX_PICTURE_PIXELS = 64_000_000
"""Pictures with more pixels are refused before they are decoded."""
_MAX_FILE_BYTES = 8 * MAX_PICTURE_PIXELS + 1_000_000  # uncompressed, with alpha, at 16 bits

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow's names; nothing else is tried
_DAMAGE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, MemoryError,
                  struct.error, Image.DecompressionBombError)  # fmt: skip
"""What Pillow raises on damaged files. `Image.open` catches four of these; plugins raise the others on load."""

_LOG = logging.getLogger(__name__)
_EXPORT_REMEDY = "export or download it again"
_WARNINGS_LOCK = threading.Lock()  # warnings.catch_warnings is not thread-safe


def read_picture(path: Path | str) -> Picture:
    """RGB [height, width, 3] uint8, upright, at most 1920 pixels on the long side.

    EXIF orientation is applied. Transparency is blended on white. Grey, palette, CMYK and 16-bit pictures are
    converted to 8-bit RGB. Of an animation, the first picture is taken.

    Raises:
        PortraitError: missing, not a file, empty, not a picture, damaged, or over 64 megapixels.
    """
    path = Path(path)
    data = _read_bytes(path)
    with _logged_warnings():
        image = _open_image(path, data)
        if image.width * image.height > MAX_PICTURE_PIXELS:
            raise PortraitError(
                f"{path} claims to have {image.width:,} x {image.height:,} pixels",
                f"reduce it to {MAX_PICTURE_PIXELS // 1_000_000} megapixels or fewer",
            )
        try:
            rgb = _decode_image(image)
        except _DAMAGE_ERRORS as error:
            _LOG.debug("decoding %s: %s", path, error)
            raise _build_damage_error(path, image.format) from error
    return reduce_picture(rgb)


def reduce_picture(rgb: Picture, side: int = MAX_PICTURE_SIDE) -> Picture:
    """`rgb` area-averaged to `side` pixels on its long side; a smaller one is returned as it is."""
    height, width = rgb.shape[:2]
    scale = side / max(width, height)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise PortraitError(f"{path} is a folder", "give one picture file")
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _MAX_FILE_BYTES else b""
    except FileNotFoundError:
        raise PortraitError(f"there is no file {path}", "check the name and the folder") from None
    except OSError as error:
        raise PortraitError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
    if size > _MAX_FILE_BYTES:
        raise PortraitError(f"{path} has {size:,} bytes, too many for a picture", "give one picture file")
    if not data:
        raise PortraitError(f"{path} is empty", _EXPORT_REMEDY)
    return data


def _open_image(path: Path, data: bytes) -> ImageFile:
    """The picture with its header read and no pixel decoded.

    `Image.open` is not used: its limit on pixels is a global of Pillow, and is reported without the size.
    """
    Image.init()
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(data[:16]):
            try:
                return factory(BytesIO(data), str(path))
            except _DAMAGE_ERRORS as error:
                _LOG.debug("opening %s: %s", path, error)
                raise _build_damage_error(path, name) from error
    raise PortraitError(f"{path} is not a picture that can be read", _suggest_conversion(data))


def _build_damage_error(path: Path, name: str | None) -> PortraitError:
    return PortraitError(f"{path} is a damaged {name} file, or one of a rare kind", _EXPORT_REMEDY)


def _suggest_conversion(data: bytes) -> str:
    phone = data[4:8] == b"ftyp" and data[8:12] in {b"heic", b"heix", b"mif1", b"avif"}
    return "convert this HEIC or AVIF picture to JPEG" if phone else "use JPEG, PNG, WebP, TIFF, BMP or GIF"


def _decode_image(image: ImageFile) -> Picture:
    scale = max(1.0, max(image.size) / MAX_PICTURE_SIDE)
    image.draft(image.mode, (max(1, int(image.width / scale)), max(1, int(image.height / scale))))
    return _to_rgb(ImageOps.exif_transpose(image))


def _to_rgb(image: Image.Image) -> Picture:
    """Any mode of Pillow with a white point as RGB, transparency blended on white."""
    if image.mode.startswith("I;16"):  # 16-bit grey
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in {"I", "F"}:
        raise ValueError("numbers without a white point")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


@contextmanager
def _logged_warnings() -> Iterator[None]:
    """Pillow warns of harmless defects, such as corrupt EXIF data: log them."""
    with _WARNINGS_LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                _LOG.debug("reading the picture: %s", warning.message)

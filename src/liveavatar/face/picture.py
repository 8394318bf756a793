"""Read a picture file as upright RGB of a sensible size, or say plainly why not."""

import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import PortraitError
from liveavatar.face.header import PictureHeader, read_exif_orientation, read_picture_header
from liveavatar.frames import Picture

MAX_PICTURE_SIDE = 1920
"""Pixels: larger pictures are reduced to this."""
MAX_PICTURE_PIXELS = 64_000_000
"""Pictures with more are refused, unread."""
_MAX_FILE_BYTES = 8 * MAX_PICTURE_PIXELS + 1_000_000  # uncompressed, with alpha, at 16 bits

_LOG = logging.getLogger(__name__)
_EXPORT_REMEDY = "export or download it again"
_CODEC_MESSAGE_PATTERN = re.compile(
    rb"^(\[ ?(WARN|ERROR|INFO)|libpng |> |Corrupt JPEG|Premature end|Inconsistent progression|Invalid SOS"
    rb"|Warning: unknown JFIF|\s)"
)
_DECODER_LOCK = threading.Lock()


def read_picture(path: Path | str) -> Picture:
    """RGB [height, width, 3] uint8, as it is meant to be seen, at most 1920 on the long side.

    EXIF orientation is applied, transparency is laid on white, grey, palette, CMYK and 16-bit pictures become
    8-bit RGB; of an animation, the first picture is taken.

    Raises:
        PortraitError: missing, not a file, empty, not a picture, damaged, or over 64 megapixels.
    """
    path = Path(path)
    data = _read_bytes(path)
    header = read_picture_header(data)
    if header is None:
        raise PortraitError(f"{path} is not a picture that can be read", _suggest_conversion(data))
    if header.width * header.height == 0:
        raise PortraitError(f"{path} is a damaged {header.format} file", _EXPORT_REMEDY)
    if header.width * header.height > MAX_PICTURE_PIXELS:
        raise PortraitError(
            f"{path} claims to have {header.width:,} x {header.height:,} pixels",
            f"reduce it to {MAX_PICTURE_PIXELS // 1_000_000} megapixels or fewer",
        )
    rgb = _decode_picture(data, header)
    if rgb is None:
        raise PortraitError(
            f"{path} is a {header.format} file that is damaged, cut off or of a rare kind", _EXPORT_REMEDY
        )
    return reduce_picture(rgb)


def reduce_picture(rgb: Picture, side: int = MAX_PICTURE_SIDE) -> Picture:
    """`rgb`, area-averaged to `side` pixels on its long side when that is longer."""
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


def _suggest_conversion(data: bytes) -> str:
    phone = data[4:8] == b"ftyp" and data[8:12] in {b"heic", b"heix", b"mif1", b"avif"}
    return "convert this HEIC or AVIF picture to JPEG" if phone else "use JPEG, PNG, WebP, TIFF, BMP or GIF"


def _decode_picture(data: bytes, header: PictureHeader) -> Picture | None:
    """The picture, or None when it cannot be decoded, or only in part."""
    buffer = np.frombuffer(data, np.uint8)
    decode = _decode_with_alpha if header.format in {"PNG", "WebP", "GIF"} else _decode_opaque
    with _capture_codec_messages() as messages:
        rgb = decode(buffer, header)
    for message in messages:
        _LOG.debug("decoding the picture: %s", message)
    return None if any("premature end" in message.lower() for message in messages) else rgb


def _decode_opaque(buffer: NDArray[np.uint8], header: PictureHeader) -> Picture | None:
    """OpenCV turns it upright, and decodes a large JPEG at a half, a quarter or an eighth of its size."""
    modes = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
    mode = next((mode for by, mode in modes.items() if max(header.width, header.height) >= by * MAX_PICTURE_SIDE),
                cv2.IMREAD_COLOR)  # fmt: skip
    bgr = cv2.imdecode(buffer, mode)
    return None if bgr is None else np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _decode_with_alpha(buffer: NDArray[np.uint8], _: PictureHeader) -> Picture | None:
    """OpenCV leaves a picture with alpha as it is stored, so it is turned upright here."""
    image, kinds, metadata = cv2.imdecodeWithMetadata(buffer, flags=cv2.IMREAD_UNCHANGED)
    stored = np.asarray(image)
    if stored.dtype not in {
        np.dtype(np.uint8),
        np.dtype(np.uint16),
    }:  # nothing (None), or numbers without a white
        return None
    exif = [bytes(np.asarray(data)) for kind, data in zip(kinds, metadata, strict=True)
            if kind == cv2.IMAGE_METADATA_EXIF]  # fmt: skip
    return _apply_orientation(_blend_on_white(stored), read_exif_orientation(exif[0]) if exif else 1)


def _blend_on_white(image: NDArray[Any]) -> Picture:
    """Grey, BGR or BGRA of 8 or 16 bits as RGB of 8, laid on white."""
    if image.dtype == np.uint16:
        image = (image // 257).astype(np.uint8)
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)
    rgb = image[..., 2::-1]
    if image.shape[2] == 3:
        return np.ascontiguousarray(rgb)
    alpha = image[..., 3:].astype(np.uint16)
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _apply_orientation(rgb: Picture, orientation: int) -> Picture:
    """Undo EXIF orientation 1…8: from 5 on the sides are swapped, then rows and columns may run backwards."""
    if orientation >= 5:
        rgb = rgb.transpose(1, 0, 2)
    down = -1 if orientation in {3, 4, 7, 8} else 1
    across = -1 if orientation in {2, 3, 6, 7} else 1
    return np.ascontiguousarray(rgb[::down, ::across])


@contextmanager
def _capture_codec_messages() -> Iterator[list[str]]:
    """Collect what the image libraries say, which they write straight to the process's standard error.

    It is the only way to learn that a JPEG ended early, and keeps warnings off the user's terminal. Lines
    that are not theirs are passed on.
    """
    messages: list[str] = []
    with _DECODER_LOCK, tempfile.TemporaryFile() as sink:
        try:
            own = os.dup(2)
        except OSError:  # a process without standard error
            yield messages
            return
        os.dup2(sink.fileno(), 2)
        try:
            yield messages
        finally:
            os.dup2(own, 2)
            os.close(own)
            sink.seek(0)
            for line in sink:
                if _CODEC_MESSAGE_PATTERN.match(line):
                    messages.append(line.decode(errors="replace").strip())
                else:
                    os.write(2, line)

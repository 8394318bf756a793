"""What a picture file says of itself before it is decoded: its format and its size.

A few hundred bytes can decode to gigabytes, so nothing is decoded before its size is known from here.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureHeader:
    """Format, such as `"PNG"`, and size in pixels as stored; zero pixels when the header is cut short."""

    format: str
    width: int
    height: int


def read_picture_header(data: bytes) -> PictureHeader | None:
    """The header of a PNG, JPEG, WebP, GIF, BMP or TIFF file; None for anything else."""
    for name, is_it, size in _SIZE_READERS:
        if is_it(data):
            try:
                width, height = size(data)
            except struct.error:
                width, height = 0, 0
            return PictureHeader(format=name, width=width, height=height)
    return None


def read_exif_orientation(exif: bytes) -> int:
    """The orientation 1…8 that EXIF data states, as it stands in a TIFF file's first directory; else 1."""
    try:
        value = _read_tiff_tags(exif).get(274, 1)
    except struct.error:
        return 1
    return value if 1 <= value <= 8 else 1


def _read_png_size(data: bytes) -> tuple[int, int]:
    """A chunk that claims to be longer than the file would make the decoder reserve as much memory."""
    at, kind = 8, b""
    while at < len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
    return _unpack_pair(">II", data, 16) if at <= len(data) else (0, 0)


def _read_gif_size(data: bytes) -> tuple[int, int]:
    return _unpack_pair("<HH", data, 6)


def _read_bmp_size(data: bytes) -> tuple[int, int]:
    (header_size,) = struct.unpack_from("<I", data, 14)
    width, height = _unpack_pair("<HH" if header_size == 12 else "<ii", data, 18)
    return width, abs(height)  # rows from the top down have a negative height


def _read_webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":  # extended: two numbers of 24 bits, one less than the size
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return low_width + (high_width << 16) + 1, low_height + (high_height << 16) + 1
    if kind == b"VP8L":  # lossless: two numbers of 14 bits, one less than the size
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = _unpack_pair("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _read_tiff_size(data: bytes) -> tuple[int, int]:
    tags = _read_tiff_tags(data)
    return tags.get(256, 0), tags.get(257, 0)


def _read_jpeg_size(data: bytes) -> tuple[int, int]:
    """From the start of frame, markers C0-CF less C4, C8 and CC."""
    at = 2
    while True:
        marker, length = _unpack_pair(">HH", data, at)
        if marker < 0xFF00:
            return 0, 0
        if marker == 0xFFFF:  # a fill byte
            at += 1
        elif 0xFFC0 <= marker <= 0xFFCF and marker not in {0xFFC4, 0xFFC8, 0xFFCC}:
            height, width = _unpack_pair(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + length


def _read_tiff_tags(data: bytes) -> dict[int, int]:
    """The first value of every tag with short or long numbers in the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = _unpack_pair(order + "HH", data, entry)
        if kind in {3, 4}:
            (tags[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
    return tags


def _unpack_pair(form: str, data: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(form, data, at)
    return first, second


_SIZE_READERS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], tuple[int, int]]], ...] = (
    ("PNG", lambda data: data[:8] == b"\x89PNG\r\n\x1a\n", _read_png_size),
    ("JPEG", lambda data: data[:3] == b"\xff\xd8\xff", _read_jpeg_size),
    ("WebP", lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _read_webp_size),
    ("GIF", lambda data: data[:6] in {b"GIF87a", b"GIF89a"}, _read_gif_size),
    ("BMP", lambda data: data[:2] == b"BM", _read_bmp_size),
    ("TIFF", lambda data: data[:4] in {b"II*\0", b"MM\0*"}, _read_tiff_size),
)

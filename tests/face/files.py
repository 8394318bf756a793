"""Picture files that no program writes, built byte by byte."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image


def encode_picture(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file of Pillow's format `kind`."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def build_png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def build_frame_segment(width: int, height: int, marker: int = 0xC0) -> bytes:
    """A start-of-frame segment of a JPEG with three colours."""
    return struct.pack(">BBHBHHB", 0xFF, marker, 17, 8, height, width, 3) + b"\1\x11\0\2\x11\0\3\x11\0"


def repeat_last_scan(jpeg: bytes, count: int) -> bytes:
    """A progressive JPEG with its last scan `count` times more."""
    start, end = jpeg.rindex(b"\xff\xda"), jpeg.rindex(b"\xff\xd9")
    return jpeg[:end] + count * jpeg[start:end] + jpeg[end:]


def build_tiff(tags: list[tuple[int, int, int]], body: bytes = b"") -> bytes:
    """A little-endian TIFF with these tags, each number, type (3 or 4) and value; `body` follows the directory."""
    entries = b"".join(struct.pack("<HHLL", number, kind, 1, value) for number, kind, value in tags)
    return b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + struct.pack("<L", 0) + body


def build_grey_tags(width: int, height: int, **others: int) -> list[tuple[int, int, int]]:
    """Tags of a grey picture; a name such as `t278` gives a further tag, or another value."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1}
    tags |= {int(name[1:]): value for name, value in others.items()}
    return [(number, 4, value) for number, value in sorted(tags.items())]


def build_webp_canvas(width: int, height: int) -> bytes:
    """An animated WebP of one frame of a pixel on a canvas of this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    pixel = encode_picture(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = chunk(b"VP8X", b"\2\0\0\0" + sides) + chunk(b"ANIM", bytes(6)) + chunk(b"ANMF", bytes(16) + pixel)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body

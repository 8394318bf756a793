"""Colour profiles for which Pillow refuses the whole picture.

Those of a PNG that have over 1 MiB or are badly packed, and those of a JPEG that are cut short.
"""

import re
import struct
import zlib

from liveavatar.face.io.colour import MAX_PROFILE_BYTES

_SIGNATURE_BYTES, _CHUNK_OVERHEAD_BYTES = 8, 12
"""Before the first chunk; length, kind and checksum of each."""

_SHORT_JPEG_PROFILE = re.compile(rb"\xff\xe2(?=\0[\x0e\x0f]ICC_PROFILE\0)")
"""Marker of an APP2 segment that ends before the number and the count of its part; ICC.1, annex B.4."""


def hide_short_jpeg_profile(jpeg: bytes) -> tuple[bytes, bool]:
    """A JPEG whose profile segments that are cut short have a marker that decoders skip; and whether it had any."""
    hidden, count = _SHORT_JPEG_PROFILE.subn(b"\xff\xef", jpeg)
    return hidden, count > 0


def take_png_profile(png: bytes) -> tuple[bytes, bytes]:
    """A PNG without its colour profile, and the profile; empty if there is none. ISO/IEC 15948, section 11.3.3.3.

    A profile that cannot be unpacked is returned as it is stored, which is no profile.
    """
    position = _SIGNATURE_BYTES
    while (kind := png[position + 4 : position + 8]) not in {b"", b"IDAT", b"IEND"}:
        (length,) = struct.unpack_from(">I", png, position)
        end = position + _CHUNK_OVERHEAD_BYTES + length
        if kind == b"iCCP":
            return png[:position] + png[end:], _unpack_profile(png[position + 8 : end - 4])
        position = end
    return png, b""


def _unpack_profile(chunk: bytes) -> bytes:
    """The contents after the name, up to one byte more than a profile may have."""
    _, _, packed = chunk.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], MAX_PROFILE_BYTES + 1) or chunk
    except zlib.error:
        return chunk

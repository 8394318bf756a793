"""RIFF WAVE: what a header announces, read past FFmpeg, which believes the length of the file instead; and headers."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

PLAIN_FORMAT_CODES = frozenset({1, 3, 6, 7, 0xFFFE})
"""Codes of PCM, float, A-law, mu-law, and "extensible", in which a sample takes a whole number of bytes."""

_UNKNOWN_LENGTHS = (
    0,
    0x7FFFFFFF,
    0x7FFFF000,
    0xFFFFFFFF,
)  # what programs write that did not know the length yet
_MAX_CHUNKS = 1000
_MAX_RIFF_BYTES = 0xFFFFFFFF - 64


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFormat:
    """How samples are stored: the `code` of the codec, `rate` in Hz, and bytes that a sample of all channels takes."""

    format_code: int
    rate: int
    block_bytes: int


def read_wave_format(path: Path) -> WaveFormat | None:
    """What the header of a WAV or RF64 says of the samples; None where it does not, and for other files."""
    with path.open("rb") as file:
        return next(
            (_parse_format(body) for name, _, _, body in _read_chunk_headers(file) if name == b"fmt "), None
        )


def read_wave_duration(path: Path) -> Fraction | None:
    """Duration in seconds that the header of a WAV or RF64 promises, however much of it is there.

    None where it does not say, is damaged, or the sound is packed in another way than sample by sample.
    """
    large, second = None, 0
    with path.open("rb") as file:
        for name, size, _, body in _read_chunk_headers(file):
            if name == b"ds64":
                large = struct.unpack("<8xQ", body)[0]
            elif name == b"fmt ":
                found = _parse_format(body)
                second = found.rate * found.block_bytes if found.format_code in PLAIN_FORMAT_CODES else 0
            elif name == b"data":
                length = large if large is not None and size == 0xFFFFFFFF else size
                return Fraction(length, second) if second and length not in _UNKNOWN_LENGTHS else None
    return None


def find_wave_data(path: Path) -> range | None:
    """The bytes at which a WAV keeps its samples; None for RF64, and unless they are in one place behind a format."""
    names, places, length = [], [], path.stat().st_size
    with path.open("rb") as file:
        for name, size, start, _ in _read_chunk_headers(file):
            names.append(name)
            if name == b"data":
                places.append(range(start, length if size in (0, 0xFFFFFFFF) else min(start + size, length)))
    plain = len(places) == 1 and names.count(b"fmt ") == 1 and b"ds64" not in names
    return places[0] if plain and names.index(b"fmt ") < names.index(b"data") else None


def _read_chunk_headers(file: BinaryIO) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Name, size, place and first 16 bytes of every chunk; none of a file that is no WAV."""
    kind, wave = struct.unpack("<4s4x4s", file.read(12).ljust(12, b"\0"))
    if kind not in (b"RIFF", b"RF64", b"BW64") or wave != b"WAVE":
        return
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = struct.unpack("<4sI", head)
        start = file.tell()
        yield name, size, start, file.read(min(size, 16)).ljust(16, b"\0")
        file.seek(start + size + size % 2)


def _parse_format(body: bytes) -> WaveFormat:
    code, _channels, rate, _average, block, _bits = struct.unpack("<HHIIHH", body)
    return WaveFormat(format_code=code, rate=rate, block_bytes=block)


def build_wave_header(sample_count: int, rate: int) -> bytes:
    """What stands before `samples` of 16-bit mono: RIFF, or RF64 from 4 GiB on."""
    size = 2 * sample_count
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    if size <= _MAX_RIFF_BYTES:
        return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
    unknown = 0xFFFFFFFF
    lengths = struct.pack("<4sIQQQI", b"ds64", 28, 72 + size, size, sample_count, 0)
    start = struct.pack("<4sI4s", b"RF64", unknown, b"WAVE")
    return start + lengths + form + struct.pack("<4sI", b"data", unknown)

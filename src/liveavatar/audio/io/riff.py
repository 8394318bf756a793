"""Headers of RIFF WAVE and RF64 files (RIFF MCI specification 1991; EBU Tech 3306).

FFmpeg takes the duration of a WAV from the length of the file. Here it is read from the header, which shows that a file
is cut off.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

PLAIN_FORMAT_CODES = frozenset({1, 3, 6, 7, 0xFFFE})
"""Format codes of PCM, float, A-law, mu-law and "extensible": each sample takes a whole number of bytes."""

_LENGTH_IN_DS64 = 0xFFFFFFFF  # RF64: the 64-bit length is in the chunk "ds64"
_UNKNOWN_LENGTHS = (0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF)  # written by programs that stream to a pipe
_MIN_PLACEHOLDER_BYTES = 1 << 26  # of samples: half an hour at 16 kHz; such a length,
_MIN_PLACEHOLDER_RATIO = 20  # and this many times what the file holds, was written before the sound was known
_MAX_CHUNKS = 1000  # of a damaged file
_MAX_RIFF_BYTES = 0xFFFFFFFF - 64  # of samples: chunk sizes have 32 bits, and the header counts too


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFormat:
    """How samples are stored: format code, `rate` in Hz, and bytes of one sample of all channels."""

    format_code: int
    rate: int
    block_bytes: int


def read_wave_format(path: Path, part: range | None = None) -> WaveFormat | None:
    """Read the format from a WAV or RF64 file; None if it has none, and for other files.

    `part` is the range of its bytes in a joined file, here and below; None is the whole file.
    """
    with path.open("rb") as file:
        bodies = (body for name, _, _, body in _read_chunk_headers(file, part) if name == b"fmt ")
        return next(map(_parse_format, bodies), None)


def read_wave_duration(path: Path, part: range | None = None) -> Fraction | None:
    """Read the duration in seconds from the header of a WAV or RF64 file, which may be cut off.

    None if the length is a placeholder or damaged, or the codec does not store sample by sample.
    """
    long_length, bytes_per_second = None, 0
    with path.open("rb") as file:
        for name, size, start, body in _read_chunk_headers(file, part):
            if name == b"ds64":
                long_length = struct.unpack("<8xQ", body)[0]
            elif name == b"fmt ":
                form = _parse_format(body)
                is_plain = form.format_code in PLAIN_FORMAT_CODES
                bytes_per_second = form.rate * form.block_bytes if is_plain else 0
            elif name == b"data":
                length = long_length if long_length is not None and size == _LENGTH_IN_DS64 else size
                held = (part.stop if part else path.stat().st_size) - start
                is_known = bytes_per_second and not _is_placeholder(length, held)
                return Fraction(length, bytes_per_second) if is_known else None
    return None


def _is_placeholder(length: int, held: int) -> bool:
    """Whether a program wrote this length before it knew the sound; the file holds `held` bytes."""
    is_far_beyond = length >= max(_MIN_PLACEHOLDER_BYTES, _MIN_PLACEHOLDER_RATIO * held)
    return length in _UNKNOWN_LENGTHS or is_far_beyond


def find_wave_data(path: Path, part: range | None = None) -> range | None:
    """Range of the bytes that hold the samples of a WAV; None for RF64, and if they do not follow one format."""
    names, ranges, file_bytes = [], [], part.stop if part else path.stat().st_size
    with path.open("rb") as file:
        for name, size, start, _ in _read_chunk_headers(file, part):
            names.append(name)
            if name == b"data":
                end = file_bytes if size in (0, 0xFFFFFFFF) else min(start + size, file_bytes)
                ranges.append(range(start, end))
    is_simple = len(ranges) == 1 and names.count(b"fmt ") == 1 and b"ds64" not in names
    return ranges[0] if is_simple and names.index(b"fmt ") < names.index(b"data") else None


def _read_chunk_headers(file: BinaryIO, part: range | None) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Name, size, start and first 16 bytes of the body of every chunk in `part`; nothing for other files."""
    file.seek(part.start if part else 0)
    kind, wave = struct.unpack("<4s4x4s", file.read(12).ljust(12, b"\0"))
    if kind not in (b"RIFF", b"RF64", b"BW64") or wave != b"WAVE":
        return
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or (part and file.tell() > part.stop):
            return
        name, size = struct.unpack("<4sI", head)
        start = file.tell()
        yield name, size, start, file.read(min(size, 16)).ljust(16, b"\0")
        file.seek(start + size + size % 2)


def _parse_format(body: bytes) -> WaveFormat:
    code, _channels, rate, _average, block, _bits = struct.unpack("<HHIIHH", body)
    return WaveFormat(format_code=code, rate=rate, block_bytes=block)


def build_wave_header(sample_count: int, rate: int) -> bytes:
    """Header of a 16-bit mono file of `sample_count` samples: RIFF, or RF64 from 4 GiB on."""
    size = 2 * sample_count
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    if size <= _MAX_RIFF_BYTES:
        return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
    lengths = struct.pack("<4sIQQQI", b"ds64", 28, 72 + size, size, sample_count, 0)
    start = struct.pack("<4sI4s", b"RF64", _LENGTH_IN_DS64, b"WAVE")
    return start + lengths + form + struct.pack("<4sI", b"data", _LENGTH_IN_DS64)

"""RIFF WAVE: what a header announces, read past FFmpeg, which believes the length of the file instead; and headers."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_UNKNOWN = (0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF)  # what programs write that did not know the length yet
_MOST_CHUNKS = 1000
_LARGE = 0xFFFFFFFF - 64


def announced(path: Path) -> Fraction | None:
    """Duration in seconds that the header of a WAV or RF64 promises, however much of it is there.

    None where it does not say, is damaged, or the sound is packed in another way than sample by sample.
    """
    with path.open("rb") as file:
        kind, wave = struct.unpack("<4s4x4s", file.read(12).ljust(12, b"\0"))
        if kind not in (b"RIFF", b"RF64", b"BW64") or wave != b"WAVE":
            return None
        return _length(file)


def _length(file: BinaryIO) -> Fraction | None:
    large, second = None, 0
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return None
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            size = large if large is not None and size == 0xFFFFFFFF else size
            return Fraction(size, second) if second and size not in _UNKNOWN else None
        start = file.tell()
        if name == b"ds64" and size >= 16:
            large = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if name == b"fmt " and size >= 16:
            second = _bytes_a_second(file.read(16).ljust(16, b"\0"))
        file.seek(start + size + size % 2)
    return None


def _bytes_a_second(form: bytes) -> int:
    """For PCM, float and those of "extensible" kind; else 0."""
    code, _channels, rate, _average, block, _bits = struct.unpack("<HHIIHH", form)
    return rate * block if code in (1, 3, 6, 7, 0xFFFE) else 0


def header(samples: int, rate: int) -> bytes:
    """What stands before `samples` of 16-bit mono: RIFF, or RF64 from 4 GiB on."""
    size = 2 * samples
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    if size <= _LARGE:
        return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
    unknown = 0xFFFFFFFF
    lengths = struct.pack("<4sIQQQI", b"ds64", 28, 72 + size, size, samples, 0)
    start = struct.pack("<4sI4s", b"RF64", unknown, b"WAVE")
    return start + lengths + form + struct.pack("<4sI", b"data", unknown)

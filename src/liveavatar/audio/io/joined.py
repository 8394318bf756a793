"""Finds the files that are joined in one: headers in the middle of a WAV or MP3, as clients of streaming speech write.

Players and FFmpeg read a joined WAV up to the end that its first header declares, or play the later headers as clicks.
"""

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from liveavatar.audio.io.mpeg import find_stream_start, measure_id3_tag, parse_id3_size
from liveavatar.audio.io.riff import PLAIN_FORMAT_CODES

_BLOCK_BYTES = 1 << 20  # searched at a time: it stays in the cache of a core
_OVERLAP_BYTES = 64  # of blocks: longer than a header that is looked for
_MAX_HEAD_BYTES = 32  # of a file, in which a header is its own
_MAX_TAG_BYTES = 1 << 22  # of an ID3 tag with a cover picture, before a joined MP3
_RIFF_WORD = int.from_bytes(b"RI", "little")
_WAVE_HEADER = re.compile(rb"RIFF.{4}WAVE(?:fmt (.{20})|JUNK|LIST|bext|fact)", re.DOTALL)
_MPEG_HEADER = re.compile(rb"Xing\0\0\0[\x01-\x0f]|Info\0\0\0[\x01-\x0f]|VBRI\0\x01")


def find_joined_files(path: Path, container_format: str) -> list[range]:
    """The bytes of each file that is joined in a WAV or MP3, in their order; a single range for other files.

    `container_format` is FFmpeg's name of it.
    """
    find_starts = _FINDERS.get(container_format)
    with path.open("rb") as file:
        starts = sorted({0, *(find_starts(file) if find_starts else ())})
    return [range(start, end) for start, end in zip(starts, [*starts[1:], path.stat().st_size], strict=True)]


def _find_wave_starts(file: BinaryIO) -> Iterator[int]:
    """Position of every header of a WAV but the first. Two letters are compared first, as numbers."""
    for start, block in _read_blocks(file):
        for odd in (0, 1):
            words = np.frombuffer(block, "<u2", (len(block) - odd) // 2, odd)
            for index in np.flatnonzero(words == _RIFF_WORD):
                found = _WAVE_HEADER.match(block, odd + 2 * int(index))
                if found and start + found.start() >= _MAX_HEAD_BYTES and _is_plain_format(found[1]):
                    yield start + found.start()


def _is_plain_format(body: bytes | None) -> bool:
    """Whether the size and the body of a chunk "fmt " describe sound; None, another chunk, may come before it."""
    if body is None:
        return True
    size, code, channels, rate, _average, block, _bits = struct.unpack("<IHHIIHH", body)
    return 16 <= size <= 64 and code in PLAIN_FORMAT_CODES and channels > 0 and rate > 0 and block > 0


def _find_mpeg_starts(file: BinaryIO) -> Iterator[int]:
    """Position of every MP3 but the first that has an information frame, or of the ID3 tag before that."""
    own_end = measure_id3_tag(file) + _MAX_HEAD_BYTES
    frames = set()
    for start, block in _read_blocks(file):
        for found in _MPEG_HEADER.finditer(block):
            frame = find_stream_start(block, found.start())
            if frame is not None and start + frame >= own_end:
                frames.add(start + frame)
    for frame in frames:
        yield _find_tag_start(file, frame)


def _find_tag_start(file: BinaryIO, frame: int) -> int:
    """Position of the ID3v2 tag that ends at `frame`; `frame` without one."""
    start = max(0, frame - _MAX_TAG_BYTES)
    file.seek(start)
    before = file.read(frame - start)
    for found in re.finditer(rb"ID3[\x02-\x04].{2}[\0-\x7f]{4}", before, re.DOTALL):
        if found.start() + parse_id3_size(found[0]) == len(before):
            return start + found.start()
    return frame


def _read_blocks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The whole file in blocks that overlap, each with its position."""
    file.seek(0)
    position, block = 0, file.read(_BLOCK_BYTES)
    while block:
        yield position, block
        more = file.read(_BLOCK_BYTES)
        if not more:
            return
        position += len(block) - _OVERLAP_BYTES
        block = block[-_OVERLAP_BYTES:] + more


_FINDERS: dict[str, Callable[[BinaryIO], Iterator[int]]] = {
    "wav": _find_wave_starts,
    "mp3": _find_mpeg_starts,
}

"""Finds the files that are joined in one: headers in the middle of a sound file, as clients of streaming speech write.

Players and FFmpeg read a joined file up to the end that its first header declares, or play the later headers as clicks.
Only MP3 and Ogg are made to be joined.
"""

import re
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from liveavatar.audio.io.mpeg import find_stream_start, measure_id3_tag, parse_id3_size
from liveavatar.audio.io.riff import PLAIN_FORMAT_CODES

_BLOCK_BYTES = 1 << 20  # searched at a time: it stays in the cache of a core
_OVERLAP_BYTES = 64  # of blocks: longer than a header that is looked for
_MAX_HEAD_BYTES = 32  # of a file, in which a header is its own
_MAX_TAG_BYTES = 1 << 22  # of an ID3 tag with a cover picture, before a joined MP3
_MAX_BOXES = 100_000  # of an mp4: one of ten hours in fragments of a second has 72,000
_BOX_HEADER_BYTES = 8
_RIFF_WORD = int.from_bytes(b"RI", "little")
_WAVE_HEADER = re.compile(rb"RIFF.{4}WAVE(?:fmt (.{20})|JUNK|LIST|bext|fact)", re.DOTALL)
_MPEG_HEADER = re.compile(rb"Xing\0\0\0[\x01-\x0f]|Info\0\0\0[\x01-\x0f]|VBRI\0\x01")


JOINABLE_FORMATS = frozenset({"mp3", "ogg"})
"""FFmpeg's names of formats of which several files in a row are one file."""


def find_joined_files(path: Path, container_format: str) -> list[range]:
    """The bytes of each file that is joined in a sound file, in their order; a single range for unknown formats.

    `container_format` is FFmpeg's name of it. Films are not taken apart: their pictures would have another clock.
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


def _find_ogg_starts(file: BinaryIO) -> Iterator[int]:
    """Position of every link of a chain: the first of the pages with which its streams begin; RFC 3533, section 4."""
    begins = list(_find_headers(file, _OGG_HEADER))
    ends = {_find_page_end(file, start) for start in begins}
    yield from (start for start in begins if start not in ends)


def _find_page_end(file: BinaryIO, start: int) -> int:
    """Where the Ogg page at `start` ends: its segments follow a table of their lengths; RFC 3533, section 6."""
    file.seek(start + 26)
    count = file.read(1)[0]
    return start + 27 + count + sum(file.read(count))


def _find_mp4_starts(file: BinaryIO) -> Iterator[int]:
    """Position of every box "ftyp" that comes after media; ISO/IEC 14496-12, section 4.2."""
    position, has_media = 0, False
    for _ in range(_MAX_BOXES):
        file.seek(position)
        head = file.read(16).ljust(16, b"\0")
        size, kind, long_size = struct.unpack(">I4sQ", head)
        if kind == b"ftyp" and has_media:
            yield position
            has_media = False
        has_media |= kind == b"mdat"
        size = long_size if size == 1 else size
        if size < _BOX_HEADER_BYTES:  # 0 is a box up to the end of the file
            return
        position += size


def _find_headers(file: BinaryIO, header: re.Pattern[bytes]) -> Iterator[int]:
    """Position of every match that lies in the file once: blocks overlap."""
    last = -1
    for start, block in _read_blocks(file):
        for found in header.finditer(block):
            if start + found.start() > last:
                last = start + found.start()
                yield last


_OGG_HEADER = re.compile(rb"OggS\0[\x02\x06]\0{8}.{4}\0{4}", re.DOTALL)
"""A page that begins a stream: its position is 0, its number is 0."""
_HEADERS = {
    "flac": rb"fLaC[\0\x80]\0\0\x22",  # STREAMINFO comes first and has 34 bytes
    "aiff": rb"FORM.{4}AIF(?:F[A-Z(]|CFVER|CCOMM)",
    "au": rb"\.snd\0\0.{6}\0\0\0[\x01-\x1b]\0[\0-\x0b]..\0\0\0[\x01-\x20]",
    "caf": rb"caff\0\x01\0.desc\0{7}\x20",
    "w64": rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0",
    "tta": rb"TTA1[\x01-\x03]\0.\0.\0",
    "matroska,webm": rb"\x1a\x45\xdf\xa3.{0,40}?\x42\x82[\x84\x88](?:webm|matroska)",
}
"""Headers by FFmpeg's name of the format, of at most `_OVERLAP_BYTES`: magic numbers, and what must follow them."""

_FINDERS: dict[str, Callable[[BinaryIO], Iterator[int]]] = {
    "wav": _find_wave_starts,
    "mp3": _find_mpeg_starts,
    "ogg": _find_ogg_starts,
    "mov,mp4,m4a,3gp,3g2,mj2": _find_mp4_starts,
    **{
        name: partial(_find_headers, header=re.compile(header, re.DOTALL))
        for name, header in _HEADERS.items()
    },
}

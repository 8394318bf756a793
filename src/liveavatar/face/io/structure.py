"""The structure of a picture file, walked before a decoder sees it: what it announces, and what decoding would take.

A walker follows the rules of the decoder that will decode, and raises `ValueError` for structures that no camera or
program writes: two sizes for one picture, thousands of scans, tiles far larger than the picture. Pillow reads the
headers of PNG, GIF and BMP with the code that decodes them, so their sizes are left to it.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_MAX_PARTS = 262_144
"""Chunks, blocks, strips or tiles of one picture: 64 megapixels have 250,000 tiles of 16 x 16. Pillow takes some
microseconds and up to a kilobyte for each."""
_MAX_METADATA_BYTES = 32_000_000
"""Bytes of a JPEG outside of its scans: profile, EXIF with a thumbnail, XMP and notes have some megabytes at most."""
_MAX_SCANS = 100
"""Scans of a JPEG. Programs write about 10; libtiff has the same limit."""
_MAX_SCAN_BLOCKS = 64_000_000
"""Scans of a JPEG times its blocks of 8 x 8: those of 64 megapixels in 12 scans of four colours are 48 million, and an
empty scan takes 24 ns a block."""
_MAX_FRAME_PIXELS = 64_000_000
"""More are not counted here: they are refused by their number, whatever the scans."""
_MAX_JPEG_BYTES = 128_000_000
"""The slowest scans are decoded at 15 MB/s. 64 megapixels of a camera have 40 MB."""
_MAX_ARITHMETIC_BLOCKS = 600_000
"""Blocks in scans of arithmetic coding, which no camera uses and which takes many times as long: 12 megapixels."""
_MAX_RUN_LENGTH_BYTES = 8_000_000
"""Bytes of a run-length coded BMP: Pillow decodes it in Python, at about a megabyte a second."""
_MAX_TILE_PIXELS, _MAX_TILED_PIXELS = 16_000_000, 128_000_000
"""Pixels of one tile of a TIFF, and of all tiles, with what sticks out of the picture."""
_MAX_SAMPLES = 6
"""Samples of a pixel of a TIFF; the limit of Pillow, which logs an error beyond it."""
_MAX_SAMPLE_BYTES = 6 * 64_000_000
"""Bytes of the decoded samples of a TIFF: 64 megapixels of three colours with 16 bits."""

Size = tuple[int, int]
"""Width and height, in pixels."""

STRUCTURE_ERRORS = (ValueError, LookupError, struct.error)
"""What walking a broken or excessive structure raises."""


def check_structure(kind: str, data: bytes) -> Size | None:
    """Walk a file of Pillow's format `kind`; returns the size its decoder will see, or None where Pillow decodes.

    Raises:
        ValueError, LookupError, struct.error: the structure is broken, or decoding it would take too much.
    """
    return _WALKERS[kind](data)


_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xDE}
_ARITHMETIC_MARKERS = frozenset(range(0xC9, 0xD0))
_BARE_MARKERS = frozenset(range(0xD0, 0xD9)) | {
    0x01
}  # without a segment: restarts, start of image, "temporary"
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_MARKER_AFTER_SCAN = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)


def _walk_jpeg(data: bytes) -> Size:
    """One frame, and scans in proportion to it, up to the end of the first picture; ITU-T T.81, annex B."""
    if len(data) > _MAX_JPEG_BYTES:
        raise ValueError("too many bytes for a JPEG")
    frames: list[tuple[int, bytes]] = []
    scan_count = 0
    for marker, segment in _iterate_jpeg_segments(data):
        if marker in _FRAME_MARKERS:
            frames.append((marker, segment))
        scan_count += marker == _START_OF_SCAN
        if len(frames) > 1 or scan_count > _MAX_SCANS:
            raise ValueError("two frames, or too many scans")
    if not frames or not scan_count:
        raise ValueError("no frame, or no scan")
    marker, segment = frames[0]
    height, width, colours = struct.unpack_from(">HHB", segment, 1)
    limit = _MAX_ARITHMETIC_BLOCKS if marker in _ARITHMETIC_MARKERS else _MAX_SCAN_BLOCKS
    blocks = min(width * height, _MAX_FRAME_PIXELS) // 64
    if scan_count * colours * blocks > limit:
        raise ValueError("too many scans for so many pixels")
    return width, height


def _iterate_jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers with their segments, up to the end of the first picture or of the data."""
    position, pattern, total = 2, _MARKER, 0
    while (found := pattern.search(data, position)) and (marker := found[1][0]) != _END_OF_IMAGE:
        position, pattern = found.end(), _MARKER
        if marker in _BARE_MARKERS:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        yield marker, data[position + 2 : position + length]
        position, total = position + max(2, length), total + length
        if total > _MAX_METADATA_BYTES:
            raise ValueError("too much metadata")
        if marker == _START_OF_SCAN:
            pattern = _MARKER_AFTER_SCAN


_VERBOSE_COMPRESSIONS = frozenset({2, 3, 4, 32_771, 32_809, 34_676, 34_677})
"""Fax (ITU-T T.4 and T.6), ThunderScan and SGI: for these libtiff prints a line on stderr for every damaged row, which
Pillow does not silence; no portrait is stored so. With the others it prints a few lines at most, and stops."""
_COMPRESSION = 259
_WIDTH, _LENGTH, _BITS, _SAMPLES, _STRIP_ROWS, _TILE_WIDTH, _TILE_LENGTH = 256, 257, 258, 277, 278, 322, 323
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
_LAYOUT_TAGS = range(254, 348)  # those of TIFF 6.0 that say how pixels are stored
_WHOLE_PICTURE = 0xFFFFFFFF  # rows of a strip
_NUMBERS = MappingProxyType({1: "B", 3: "H", 4: "L", 16: "Q"})
"""Types of values, as `struct` spells them, that sizes may have."""


@dataclass(frozen=True, slots=True)
class _TiffTag:
    """The number of values of a tag, and the first one; 0 if it is no whole number."""

    count: int
    value: int


def _walk_tiff(data: bytes) -> Size:
    """No tag twice in the first directory, strips and tiles in proportion to the picture; TIFF 6.0, section 2."""
    tags: dict[int, _TiffTag] = {}
    for number, tag in _iterate_tiff_tags(data):
        if number in tags and number in _LAYOUT_TAGS:
            raise ValueError(f"tag {number} is there twice")
        tags.setdefault(number, tag)
    if any(tags[number].count > _MAX_PARTS for number in (_STRIP_OFFSETS, _TILE_OFFSETS) if number in tags):
        raise ValueError("too many strips or tiles")
    if tags.get(_COMPRESSION, _TiffTag(1, 1)).value in _VERBOSE_COMPRESSIONS:
        raise ValueError("a compression of fax machines or of old workstations")
    size = width, height = tags[_WIDTH].value, tags[_LENGTH].value
    samples, bits = tags.get(_SAMPLES, _TiffTag(1, 3)).value, tags.get(_BITS, _TiffTag(1, 1)).value
    if samples > _MAX_SAMPLES or width * height * samples * bits > 8 * _MAX_SAMPLE_BYTES:
        raise ValueError("too many samples, or too many bytes of them")
    rows = tags.get(_STRIP_ROWS, _TiffTag(1, _WHOLE_PICTURE)).value
    if height < rows != _WHOLE_PICTURE:
        _check_tiles(size, (width, rows))
    if _TILE_WIDTH in tags and _TILE_LENGTH in tags:
        _check_tiles(size, (tags[_TILE_WIDTH].value, tags[_TILE_LENGTH].value))
    return size


def _check_tiles(size: Size, tile: Size) -> None:
    across, down = (-(-side // part) if part else 0 for side, part in zip(size, tile, strict=True))
    area = tile[0] * tile[1]
    if not 0 < area <= _MAX_TILE_PIXELS or across * down * area > _MAX_TILED_PIXELS:
        raise ValueError("tiles larger than the picture")


def _iterate_tiff_tags(data: bytes) -> Iterator[tuple[int, _TiffTag]]:
    """The tags of the first directory. Pillow reads BigTIFF in Intel's byte order only."""
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] == b"\0+":
        raise ValueError("BigTIFF in Motorola's byte order")
    counter, entry, word = ("Q", "HHQ", "Q") if data[2] == 43 else ("H", "HHL", "L")
    inline = struct.calcsize(order + word)  # bytes: longer values are elsewhere
    (start,) = struct.unpack_from(order + word, data, inline)
    (tag_count,) = struct.unpack_from(order + counter, data, start)
    if tag_count > _MAX_PARTS:
        raise ValueError("too many tags")
    place = start + struct.calcsize(order + counter)
    for _ in range(tag_count):
        number, kind, count = struct.unpack_from(order + entry, data, place)
        place += struct.calcsize(order + entry)
        letter = _NUMBERS.get(kind, "")
        is_inline = count * struct.calcsize(order + letter) <= inline
        at = place if is_inline else struct.unpack_from(order + word, data, place)[0]
        value = struct.unpack_from(order + letter, data, at)[0] if letter and count else 0
        yield number, _TiffTag(count, value)
        place += inline


def _walk_webp(data: bytes) -> Size:
    """The canvas, which libwebp allocates when it opens the file; RFC 9649, section 2."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _walk_png(data: bytes) -> None:
    """A bounded number of chunks; ISO/IEC 15948, section 5."""
    position = 8
    for _ in range(_MAX_PARTS):
        if position + 8 > len(data) or data[position + 4 : position + 8] == b"IEND":
            return
        position += 12 + struct.unpack_from(">I", data, position)[0]
    raise ValueError("too many chunks")


def _walk_gif(data: bytes) -> None:
    """A bounded number of blocks before the first picture; GIF89a, sections 15 to 20."""
    position = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    is_extension = False
    for _ in range(_MAX_PARTS):
        byte = data[position]
        if is_extension:
            position += 1 + byte
            is_extension = byte > 0
        elif byte in b",;":
            return
        else:
            is_extension = byte == ord("!")
            position += 1 + is_extension
    raise ValueError("too many blocks")


def _walk_bmp(data: bytes) -> None:
    """A bounded run-length coding."""
    is_run_length = len(data) >= 34 and struct.unpack_from("<I", data, 30)[0] in {1, 2}
    if is_run_length and len(data) > _MAX_RUN_LENGTH_BYTES:
        raise ValueError("too long a run-length coding")


_WALKERS: Mapping[str, Callable[[bytes], Size | None]] = MappingProxyType(
    {
        "JPEG": _walk_jpeg,
        "TIFF": _walk_tiff,
        "WEBP": _walk_webp,
        "PNG": _walk_png,
        "GIF": _walk_gif,
        "BMP": _walk_bmp,
    }
)

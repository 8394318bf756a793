"""Information frames of MP3 files, which carry the number of frames (Xing, Info: LAME; VBRI: Fraunhofer)."""

from pathlib import Path
from typing import BinaryIO

_SIDE_INFO_BYTES = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}
"""Bytes between the header of a frame and its data, for (MPEG-1, mono): ISO/IEC 11172-3 and 13818-3, layer III."""
_VBRI_BYTES = 32  # between the header and "VBRI", whatever the version
_HEADER_BYTES = 4
_MAX_HEAD_BYTES = 1 << 16  # searched for the first frame, behind the ID3 tag
_ID3_HEADER_BYTES = 10  # of ID3v2


def has_frame_count(path: Path) -> bool:
    """Whether an MP3 declares how long it is; without, FFmpeg guesses from the bit rate of the first frames."""
    with path.open("rb") as file:
        file.seek(measure_id3_tag(file))
        block = file.read(_MAX_HEAD_BYTES)
    return any(
        find_stream_start(block, at) is not None
        for name in (b"Xing", b"Info", b"VBRI")
        if (at := block.find(name)) >= 0
    )


def measure_id3_tag(file: BinaryIO) -> int:
    """Bytes of the ID3v2 tag at the beginning of a file; 0 if there is none."""
    file.seek(0)
    head = file.read(_ID3_HEADER_BYTES)
    return parse_id3_size(head) if head.startswith(b"ID3") and len(head) == _ID3_HEADER_BYTES else 0


def parse_id3_size(head: bytes) -> int:
    """Bytes of an ID3v2 tag, of which `head` is the header: its size has four times seven bits."""
    return _ID3_HEADER_BYTES + sum((byte & 0x7F) << 7 * (3 - index) for index, byte in enumerate(head[6:10]))


def find_stream_start(block: bytes, name_at: int) -> int | None:
    """Start of the information frame whose name ("Xing", "Info", "VBRI") stands at `name_at`; None if it is none."""
    is_vbri = block[name_at : name_at + 4] == b"VBRI"
    for distance in {_VBRI_BYTES} if is_vbri else set(_SIDE_INFO_BYTES.values()):
        start = name_at - distance - _HEADER_BYTES
        if start >= 0 and _is_information_frame(block[start:name_at], distance):
            return start
    return None


def _is_information_frame(head: bytes, distance: int) -> bool:
    """Whether these are the header of a frame of layer III and `distance` zeros, as long as its side information."""
    sync, version, layer = head[0] == 0xFF and head[1] >> 5 == 7, head[1] >> 3 & 3, head[1] >> 1 & 3
    if not sync or version == 1 or layer != 1 or any(head[_HEADER_BYTES:]):
        return False
    side_info = _SIDE_INFO_BYTES[version == 3, head[3] >> 6 == 3]
    return distance in (side_info, _VBRI_BYTES)

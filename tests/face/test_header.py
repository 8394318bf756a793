import struct
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from liveavatar.face.header import read_exif_orientation, read_picture_header

SIZES = [(1, 1), (3, 2), (255, 257), (700, 4)]
ENCODINGS: dict[str, tuple[str, dict[str, object]]] = {
    "png": ("PNG", {}),
    "jpeg": ("JPEG", {}),
    "progressive": ("JPEG", {"progressive": True}),
    "lossy webp": ("WebP", {}),
    "lossless webp": ("WebP", {"lossless": True}),
    "extended webp": ("WebP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
}


def encoded(name: str, size: tuple[int, int] = (33, 21)) -> bytes:
    kind, options = ENCODINGS[name]
    sink = BytesIO()
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(sink, kind, **options)
    return sink.getvalue()


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("size", SIZES)
def test_size_and_format_are_read(name: str, size: tuple[int, int]) -> None:
    header = read_picture_header(encoded(name, size))
    assert header is not None
    assert (header.format, header.width, header.height) == (ENCODINGS[name][0], *size)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_cut_off_header_has_no_pixels_or_the_right_ones(name: str) -> None:
    whole = encoded(name)
    for length in range(min(len(whole), 400)):
        header = read_picture_header(whole[:length])
        assert header is None or header.width * header.height in {0, 33 * 21}


@given(st.sampled_from(sorted(ENCODINGS)), st.data())
@settings(deadline=None)
def test_no_change_of_a_header_raises(name: str, data: st.DataObject) -> None:
    changed = bytearray(encoded(name))
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(0, min(len(changed), 200) - 1))] = data.draw(st.integers(0, 255))
    header = read_picture_header(bytes(changed))
    assert header is None or min(header.width, header.height) >= 0


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_other_bytes_are_no_picture_or_an_unreadable_one(data: bytes) -> None:
    assert read_picture_header(b"x" + data) is None


def test_a_png_chunk_longer_than_the_file_is_damage() -> None:
    """The decoder would reserve its claimed gigabytes before it looks."""
    data = bytearray(encoded("png"))
    data[33:37] = b"\xf0\0\0\0"  # the length of the chunk after the first
    header = read_picture_header(bytes(data))
    assert header is not None
    assert header.width * header.height == 0


def test_bytes_after_the_end_of_a_png_do_no_harm() -> None:
    header = read_picture_header(encoded("png") + b"a note that some program left")
    assert header is not None
    assert (header.width, header.height) == (33, 21)


def test_top_down_bitmaps_and_old_ones() -> None:
    modern = b"BM" + bytes(12) + struct.pack("<Iii", 40, 640, -480)
    old = b"BM" + bytes(12) + struct.pack("<IHH", 12, 320, 200)
    for data, size in ((modern, (640, 480)), (old, (320, 200))):
        header = read_picture_header(data)
        assert header is not None
        assert (header.width, header.height) == size


def test_big_endian_tiff_with_long_numbers() -> None:
    tags = struct.pack(">HHII", 256, 4, 1, 70_000) + struct.pack(">HHIHH", 257, 3, 1, 12, 0)
    header = read_picture_header(b"MM\0*" + struct.pack(">IH", 8, 2) + tags)
    assert header is not None
    assert (header.width, header.height) == (70_000, 12)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("stored", "meant"), [*((n, n) for n in range(1, 9)), (0, 1), (9, 1)])
def test_exif_orientation(order: str, stored: int, meant: int) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    exif = mark + struct.pack(order + "IHHHIHH", 8, 1, 274, 3, 1, stored, 0)
    assert read_exif_orientation(exif) == meant


def test_broken_exif_means_upright() -> None:
    assert read_exif_orientation(b"") == read_exif_orientation(b"II*\0\xff\xff\xff\xff") == 1

"""Structures that would take a decoder too long or too far are refused before it sees them."""

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from face.files import (
    build_frame_segment,
    build_grey_tags,
    build_png_chunk,
    build_tiff,
    build_webp_canvas,
    encode_picture,
    repeat_last_scan,
)
from liveavatar.errors import PortraitError
from liveavatar.face.io.structure import STRUCTURE_ERRORS, check_structure
from liveavatar.face.picture import read_picture
from liveavatar.frames import Picture

SIZE = (48, 32)


@pytest.fixture(scope="module")
def image(hopper: Picture) -> Image.Image:
    return Image.fromarray(hopper).resize(SIZE)


def refuse(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(PortraitError) as caught:
        read_picture(path)
    return caught.value.problem


def is_refused(kind: str, data: bytes) -> bool:
    try:
        check_structure(kind, data)
    except STRUCTURE_ERRORS:
        return True
    return False


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP"])
def test_the_size_is_that_of_the_picture(image: Image.Image, kind: str) -> None:
    assert check_structure(kind, encode_picture(image, kind)) == SIZE


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": Image.Exif()}, {"quality": 20}])
def test_the_size_of_every_kind_of_webp(image: Image.Image, options: dict[str, object]) -> None:
    assert check_structure("WEBP", encode_picture(image, "WEBP", **options)) == SIZE
    assert check_structure("WEBP", encode_picture(image.convert("RGBA"), "WEBP", **options)) == SIZE


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_pillow_judges_what_it_decodes_itself(image: Image.Image, kind: str) -> None:
    assert check_structure(kind, encode_picture(image, kind)) is None


# JPEG


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"comment": b"\xff\xda"}]
)
def test_jpegs_of_every_kind_are_read(image: Image.Image, tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_picture(image, "JPEG", **options))
    assert read_picture(path).shape == (32, 48, 3)


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC9, 0xDE])
@pytest.mark.parametrize("junk", [b"", b"\xff\xff", b"\0\0", b"\xff\0", b"\xff\xd9", b"\xff\xd8"])
def test_a_jpeg_has_one_size(image: Image.Image, tmp_path: Path, marker: int, junk: bytes) -> None:
    """A second frame with another size before, or behind what one decoder may skip."""
    data = encode_picture(image, "JPEG")
    for size in [(8, 8), (20_000, 20_000)]:
        decoy = build_frame_segment(*size, marker=marker)
        assert "damaged JPEG" in refuse(tmp_path / "a.jpg", data[:2] + decoy + junk + data[2:])
        place = data.index(b"\xff\xda")
        assert "damaged JPEG" in refuse(tmp_path / "a.jpg", data[:place] + junk + decoy + data[place:])


def test_a_frame_within_a_note_is_no_frame(image: Image.Image, tmp_path: Path) -> None:
    note = build_frame_segment(20_000, 20_000)
    data = encode_picture(image, "JPEG", comment=note, exif=b"Exif\0\0" + note)
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_picture(tmp_path / "a.jpg").shape == (32, 48, 3)


def test_a_huge_frame_is_refused_by_its_size(image: Image.Image, tmp_path: Path) -> None:
    data = bytearray(encode_picture(image, "JPEG", progressive=True))
    place = data.index(b"\xff\xc2")
    data[place + 5 : place + 9] = struct.pack(">HH", 20_000, 20_000)
    assert "claims to have 20,000 x 20,000 pixels" in refuse(tmp_path / "a.jpg", bytes(data))


def test_thousands_of_scans_are_refused(image: Image.Image, tmp_path: Path) -> None:
    data = encode_picture(image, "JPEG", progressive=True)
    assert not is_refused("JPEG", repeat_last_scan(data, 20))
    assert "damaged JPEG" in refuse(tmp_path / "a.jpg", repeat_last_scan(data, 5_000))


def test_few_scans_of_a_huge_jpeg_are_refused() -> None:
    scan = b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0"
    frame = b"\xff\xd8" + build_frame_segment(8_000, 8_000, 0xC2)
    assert not is_refused("JPEG", frame + 10 * scan + b"\xff\xd9")
    assert is_refused("JPEG", frame + 50 * scan + b"\xff\xd9")
    assert is_refused("JPEG", b"\xff\xd8" + build_frame_segment(8_000, 8_000, 0xCA) + scan + b"\xff\xd9")


def test_long_runs_of_fill_bytes_are_walked_once(image: Image.Image) -> None:
    data = encode_picture(image, "JPEG")
    assert check_structure("JPEG", data[:2] + b"\xff" * 5_000_000 + data[2:]) == SIZE
    assert is_refused("JPEG", data[:2] + b"\xff" * 5_000_000)


def test_endless_metadata_is_refused(image: Image.Image) -> None:
    data = encode_picture(image, "JPEG")
    note = b"\xff\xe1\xff\xff" + bytes(65_533)
    assert check_structure("JPEG", data[:2] + 100 * note + data[2:]) == SIZE
    assert is_refused("JPEG", data[:2] + 600 * note + data[2:])


# TIFF


def test_a_tiff_built_here_is_read(tmp_path: Path) -> None:
    tags = build_grey_tags(2, 2, t273=8 + 2 + 12 * 8 + 4, t279=4)
    (tmp_path / "a.tif").write_bytes(build_tiff(tags, bytes([1, 2, 3, 4])))
    assert read_picture(tmp_path / "a.tif")[..., 0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("tag", [256, 257, 258, 277, 273, 322])
def test_a_tag_that_is_there_twice_is_refused(tmp_path: Path, tag: int) -> None:
    tags = build_grey_tags(2, 2, t273=8, t279=4, t322=16, t323=16)
    assert "damaged TIFF" in refuse(tmp_path / "a.tif", build_tiff([*tags, (tag, 4, 20_000)], bytes(100)))
    assert "damaged TIFF" in refuse(tmp_path / "a.tif", build_tiff([(tag, 4, 20_000), *tags], bytes(100)))


@pytest.mark.parametrize(
    "others",
    [
        {"t322": 20_000, "t323": 20_000, "t324": 8},
        {"t322": 0, "t323": 16, "t324": 8},
        {"t322": 1_000_000, "t323": 1, "t324": 8},
        {"t278": 8_388_608, "t273": 8},
        {"t258": 64, "t277": 60_000},
    ],
)
def test_tiles_strips_and_samples_beyond_the_picture_are_refused(
    tmp_path: Path, others: dict[str, int]
) -> None:
    tags = build_grey_tags(64, 1_000, **{"t259": 8} | others)
    assert is_refused("TIFF", build_tiff(tags, bytes(100)))
    assert "damaged TIFF" in refuse(tmp_path / "a.tif", build_tiff(tags, bytes(100)))


def test_a_million_tiles_are_refused() -> None:
    entry = struct.pack("<HHLL", 324, 4, 1_000_000, 8)
    data = build_tiff(build_grey_tags(1_000, 1_000, t322=1, t323=1))
    data = data[:8] + struct.pack("<H", 9) + data[10:-4] + entry + bytes(4)
    assert is_refused("TIFF", data)


@pytest.mark.parametrize(
    "head", [b"MM\0+\0\x08\0\0", b"II+\0\x08\0\0\0" + b"\xff" * 8, b"II*\0\xff\xff\xff\xff"]
)
def test_broken_directories_are_refused(tmp_path: Path, head: bytes) -> None:
    assert "damaged TIFF" in refuse(tmp_path / "a.tif", head + bytes(100))


@pytest.mark.parametrize(
    "compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd", "lzma"]
)
@pytest.mark.parametrize("is_big", [False, True])
def test_tiffs_of_every_kind_are_read(
    image: Image.Image, tmp_path: Path, compression: str, is_big: bool
) -> None:
    image.save(tmp_path / "a.tif", compression=compression, big_tiff=is_big)
    assert read_picture(tmp_path / "a.tif").shape == (32, 48, 3)


@pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4"])
def test_compressions_that_print_a_line_a_row_are_refused(
    image: Image.Image, tmp_path: Path, compression: str
) -> None:
    image.convert("1").save(tmp_path / "a.tif", compression=compression)
    data = (tmp_path / "a.tif").read_bytes()
    assert "damaged TIFF file, or one of a rare kind" in refuse(tmp_path / "b.tif", data)


def test_what_libtiff_says_of_damaged_pictures_is_bounded(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0)
    picture = Image.fromarray(noise.integers(0, 256, (2_000, 100, 3)).astype(np.uint8))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd", "lzma"):
        picture.save(tmp_path / "a.tif", compression=compression)
        data = np.frombuffer((tmp_path / "a.tif").read_bytes(), np.uint8).copy()
        places = noise.integers(len(data) // 4, 3 * len(data) // 4, 2_000)
        data[places] ^= noise.integers(1, 256, 2_000).astype(np.uint8)
        (tmp_path / "b.tif").write_bytes(data.tobytes())
        with suppress(PortraitError):
            read_picture(tmp_path / "b.tif")
    assert len(capfd.readouterr().err.splitlines()) < 30


# The others


@pytest.mark.parametrize("size", [(2**20 + 2, 1), (2**24, 3), (3, 2**24), (8_000, 8_000)])
def test_a_canvas_that_is_too_wide_or_too_large_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    problem = refuse(tmp_path / "a.webp", build_webp_canvas(*size))
    assert problem.endswith(f"claims to have {size[0]:,} x {size[1]:,} pixels")


def test_a_wide_canvas_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.webp").write_bytes(build_webp_canvas(40_000, 2))
    assert read_picture(tmp_path / "a.webp").shape == (1, 1920, 3)


def test_a_million_chunks_are_refused(image: Image.Image) -> None:
    data = encode_picture(image, "PNG")
    for count, refused in [(10_000, False), (1_000_000, True)]:
        assert is_refused("PNG", data[:33] + build_png_chunk(b"tEXt", b"a\0b") * count + data[33:]) == refused


def test_a_million_blocks_are_refused(image: Image.Image) -> None:
    data = encode_picture(image.convert("P"), "GIF")
    place = data.index(b",\0\0\0\0")
    for count, refused in [(10_000, False), (1_000_000, True)]:
        note = b"!\xfe" + b"\1x" * count + b"\0"
        assert is_refused("GIF", data[:place] + note + data[place:]) == refused


def test_a_long_run_length_coding_is_refused() -> None:
    head = bytearray(encode_picture(Image.new("P", (8, 8)), "BMP"))
    head[30:34] = struct.pack("<I", 1)
    assert not is_refused("BMP", bytes(head))
    assert is_refused("BMP", bytes(head) + bytes(10_000_000))


def test_the_file_is_not_opened_a_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow maps uncompressed files that it knows the name of; they may have been replaced since they were judged."""
    path = tmp_path / "a.bmp"
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(path)
    opened: list[object] = []
    monkeypatch.setattr("PIL.ImageFile.open", lambda *names, **_: opened.append(names), raising=False)
    assert (read_picture(path) == 200).all()
    assert opened == []

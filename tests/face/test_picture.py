import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from liveavatar.errors import PortraitError
from liveavatar.face.picture import read_picture, reduce_picture
from liveavatar.frames import Picture

Save = Callable[..., Path]


@pytest.fixture(scope="module")
def scene() -> Picture:
    """Smooth colours without any symmetry, 96 x 64."""
    y, x = np.mgrid[0:64, 0:96]
    return np.stack([40 + 2 * x, 30 + 3 * y, 200 - x - y], axis=-1).astype(np.uint8)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save_as(image: Image.Image, name: str, **options: Any) -> Path:
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save_as


def mean_difference(one: Picture, other: Picture) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("a.webp", {"lossless": True}),
        ("a.jpg", {"quality": 95}),
        ("a.jpeg", {"quality": 95, "progressive": True}),
        ("a.gif", {}),
    ],
)
def test_formats(scene: Picture, save: Save, name: str, options: dict[str, object]) -> None:
    exact = name.endswith(("png", "bmp", "tif", "tiff", "webp"))
    picture = read_picture(save(Image.fromarray(scene), name, **options))
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert mean_difference(picture, scene) <= (0 if exact else 6)


def test_cmyk_jpeg(scene: Picture, save: Save) -> None:
    path = save(Image.fromarray(scene).convert("CMYK"), "a.jpg", quality=95)
    assert mean_difference(read_picture(path), scene) < 3


def test_palette(scene: Picture, save: Save) -> None:
    palette = Image.fromarray(scene).quantize(32)
    assert mean_difference(read_picture(save(palette, "a.png")), np.asarray(palette.convert("RGB"))) == 0


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_grey(scene: Picture, save: Save, name: str) -> None:
    grey = Image.fromarray(scene).convert("L")
    assert mean_difference(read_picture(save(grey, name)), np.asarray(grey.convert("RGB"))) < 1


def test_black_and_white(save: Save) -> None:
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype(np.uint8)
    picture = read_picture(save(Image.fromarray(board).convert("1"), "a.png"))
    assert mean_difference(picture, np.repeat(board[..., None], 3, axis=2)) == 0


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits(scene: Picture, tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), scene[..., ::-1].astype(np.uint16) * 257)
    assert mean_difference(read_picture(tmp_path / name), scene) == 0


def test_sixteen_bits_of_grey_with_white_as_white(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[0, 65_535]], np.uint16))
    assert read_picture(tmp_path / "a.png").tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.webp", {"lossless": True, "exact": True})])
def test_transparency_is_blended_on_white(
    scene: Picture, save: Save, name: str, options: dict[str, object]
) -> None:
    alpha = np.zeros(scene.shape[:2], np.uint8)
    alpha[:, 32:64], alpha[:, 64:] = 128, 255
    picture = read_picture(save(Image.fromarray(np.dstack([scene, alpha])), name, **options))
    assert (picture[:, :32] == 255).all()
    assert mean_difference(picture[:, 64:], scene[:, 64:]) == 0
    half = (scene[:, 32:64].astype(int) * 128 + 255 * 127) / 255
    assert np.abs(picture[:, 32:64] - half).max() < 1


def test_transparent_palette(save: Save) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 1), 1)
    picture = read_picture(save(image, "a.png", transparency=0))
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture[1, 1].tolist() == [40, 50, 60]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_exif_orientation_is_undone(scene: Picture, save: Save, name: str, orientation: int) -> None:
    """Stored so that a viewer that follows the tag shows the scene."""
    undone = {
        2: 0,
        3: 3,
        4: 1,
        5: 5,
        6: 2,
        7: 6,
        8: 4,
    }  # PIL's Transpose that undoes each orientation's effect
    image = Image.fromarray(scene)
    if orientation > 1:
        image = image.transpose(Image.Transpose(undone[orientation]))
    exif = Image.Exif()
    exif[274] = orientation
    picture = read_picture(save(image, name, exif=exif, quality=95))
    assert mean_difference(picture, scene) < 6


def test_orientation_and_transparency_together(scene: Picture, save: Save) -> None:
    exif = Image.Exif()
    exif[274] = 6
    alpha = np.full(scene.shape[:2], 255, np.uint8)
    alpha[:10] = 0
    image = Image.fromarray(np.dstack([scene, alpha])).transpose(Image.Transpose.ROTATE_90)
    picture = read_picture(save(image, "a.png", exif=exif))
    assert (picture[:10] == 255).all()
    assert mean_difference(picture[10:], scene[10:]) == 0


@pytest.mark.parametrize("name", ["肖像 照片.png", "a b'c\".png", "émigré.png"])
def test_paths_of_any_spelling(scene: Picture, save: Save, name: str) -> None:
    assert mean_difference(read_picture(save(Image.fromarray(scene), name)), scene) == 0


def test_a_string_is_a_path(scene: Picture, save: Save) -> None:
    assert mean_difference(read_picture(str(save(Image.fromarray(scene), "a.png"))), scene) == 0


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_large_pictures_are_reduced(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), np.full((1000, 4800, 3), (30, 120, 200), np.uint8))
    picture = read_picture(tmp_path / name)
    assert picture.shape == (400, 1920, 3)
    assert np.abs(picture.astype(int) - (200, 120, 30)).max() <= 2


@pytest.mark.parametrize("shape", [(1920, 1080), (1, 1), (1920, 1)])
def test_smaller_pictures_are_kept(shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    assert reduce_picture(picture) is picture


def test_a_line_of_a_picture_keeps_a_pixel() -> None:
    assert reduce_picture(np.zeros((1, 5000, 3), np.uint8)).shape == (1, 1920, 3)


# What is refused


def read_problem(path: Path) -> str:
    with pytest.raises(PortraitError) as caught:
        read_picture(path)
    assert caught.value.remedy
    assert str(path) in caught.value.problem
    assert "\n" not in str(caught.value)
    return caught.value.problem


def test_no_such_file(tmp_path: Path) -> None:
    assert read_problem(tmp_path / "none.jpg").startswith("there is no file")


def test_a_folder(tmp_path: Path) -> None:
    assert read_problem(tmp_path).endswith("is a folder")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert read_problem(tmp_path / "a.jpg").endswith("is empty")


@pytest.mark.parametrize("content", [b"hello, this is text\n", b"\xff\xfb\x90\x00 an mp3", b"BM"[:1]])
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    assert read_problem(tmp_path / "a.jpg").endswith("is not a picture that can be read")


def test_heic_files_have_their_own_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(PortraitError, match="convert this HEIC or AVIF picture to JPEG"):
        read_picture(tmp_path / "a.heic")


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "gif", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_cut_off_picture(
    hopper: Picture, save: Save, kind: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save(Image.fromarray(hopper), f"a.{kind}")
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
    read_problem(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_corrupt_picture(hopper: Picture, save: Save, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = save(Image.fromarray(hopper), f"a.{kind}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(data)
    assert "damaged" in read_problem(path)
    assert capfd.readouterr() == ("", "")


def test_float_pictures_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), np.zeros((4, 4, 3), np.float32))
    assert "of a rare kind" in read_problem(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


def build_png(width: int, height: int) -> bytes:
    """A file of a few bytes that claims to be a grey picture of this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30_000, 30_000), (64_000_001, 1), (1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(build_png(*size))
    assert f"claims to have {size[0]:,} x {size[1]:,} pixels" in read_problem(tmp_path / "bomb.png")


def test_a_picture_without_pixels(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(build_png(0, 10))
    assert "damaged PNG" in read_problem(tmp_path / "a.png")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    path.touch()
    os.truncate(path, 10 << 30)  # sparse
    assert "too many for a picture" in read_problem(path)


@pytest.mark.parametrize("path", ["/", ".", "", "none.png", "a\0b", "/dev/zero", "a" * 5_000, "\ud800"])
def test_paths_that_do_not_work_are_one_line(path: str) -> None:
    with pytest.raises(PortraitError) as caught:
        read_picture(path)
    assert caught.value.remedy
    assert str(caught.value).isprintable()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert read_problem(tmp_path / "a.png").endswith("is a pipe, not a regular file")


def test_names_that_are_no_text(scene: Picture, save: Save, tmp_path: Path) -> None:
    path = save(Image.fromarray(scene), "a.png").rename(tmp_path / "\udcff\n.png")
    assert mean_difference(read_picture(path), scene) == 0
    path.write_bytes(b"text")
    with pytest.raises(PortraitError) as caught:
        read_picture(path)
    assert r"\udcff\n.png is not a picture" in caught.value.problem


@pytest.mark.parametrize(
    "name", ["a.eps", "a.pdf", "a.ico", "a.icns", "a.tga", "a.ppm", "a.pcx", "a.dds", "a.j2k"]
)
def test_other_formats_are_refused_whatever_their_suffix(scene: Picture, save: Save, name: str) -> None:
    path = save(Image.fromarray(scene), name)
    assert "is not a picture" in read_problem(path.rename(path.with_suffix(".png")))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_of_every_depth(tmp_path: Path, bits: int) -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([200, 10, 20, 30, 200, 50, 60, 70, 200, 90, 200, 100])
    indices = [0, 1, 0, 1] if bits == 1 else [0, 1, 2, 3]
    image.putdata(indices)
    image.save(tmp_path / "a.png", bits=bits)
    colours = [[200, 10, 20], [30, 200, 50], [60, 70, 200], [90, 200, 100]]
    assert read_picture(tmp_path / "a.png")[0].tolist() == [colours[index] for index in indices]


def test_a_palette_with_levels_of_transparency(save: Save) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([0, 0, 0, 100, 0, 0, 0, 200, 0])
    image.putdata([0, 1, 2])
    picture = read_picture(save(image, "a.png", transparency=bytes([0, 51, 255])))
    assert picture[0].tolist() == [[255, 255, 255], [224, 204, 204], [0, 200, 0]]


@pytest.mark.slow
@given(st.sampled_from(["jpg", "png", "webp", "gif", "tif", "bmp"]), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_leads_to_anything_but_a_picture_or_a_clear_refusal(
    scene: Picture, save: Save, tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    content = bytearray(save(Image.fromarray(scene), f"whole.{kind}").read_bytes())
    reach = data.draw(st.sampled_from([60, 300, len(content)]))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, min(reach, len(content)) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    with suppress(PortraitError):
        picture = read_picture(path)
        assert picture.dtype == np.uint8
        assert picture.shape[2:] == (3,)


def test_reading_works_without_standard_error(scene: Picture, save: Save) -> None:
    path = save(Image.fromarray(scene), "a.png")
    read = f"from liveavatar.face.picture import read_picture as read; print(read({str(path)!r}).shape)"
    script = f"import os; os.close(2); {read}"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "(64, 96, 3)\n"


def test_what_follows_the_end_of_a_png_is_ignored(scene: Picture, save: Save) -> None:
    path = save(Image.fromarray(scene), "a.png")
    path.write_bytes(path.read_bytes() + b"a note that some program left")
    assert mean_difference(read_picture(path), scene) == 0


def test_a_png_chunk_longer_than_the_file_is_damage(scene: Picture, save: Save) -> None:
    path = save(Image.fromarray(scene), "a.png")
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"\xf0\0\0\0tEXt" + data[33:])  # 33: after the first chunk
    assert "damaged PNG" in read_problem(path)


@pytest.mark.parametrize("height", [2, -2])
def test_bitmaps_store_their_rows_in_either_direction(tmp_path: Path, height: int) -> None:
    rows = [b"\x0a\x14\x1e\0", b"\x28\x32\x3c\0"][:: 1 if height < 0 else -1]  # BGR, padded to four bytes
    header = struct.pack("<IiiHHIIiiII", 40, 1, height, 1, 24, 0, 8, 0, 0, 0, 0)
    (tmp_path / "a.bmp").write_bytes(b"BM" + struct.pack("<IHHI", 62, 0, 0, 54) + header + b"".join(rows))
    assert read_picture(tmp_path / "a.bmp").tolist() == [[[30, 20, 10]], [[60, 50, 40]]]


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_means_upright(
    scene: Picture, save: Save, orientation: int
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    assert mean_difference(read_picture(save(Image.fromarray(scene), "a.png", exif=exif)), scene) == 0


def test_broken_exif_means_upright(scene: Picture, save: Save) -> None:
    """Pillow warns of it; nothing reaches the caller."""
    path = save(Image.fromarray(scene), "a.png", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    assert mean_difference(read_picture(path), scene) == 0


@pytest.mark.parametrize(("name", "kind"), [("a.gif", "GIF"), ("a.webp", "WEBP"), ("a.png", "PNG"), ("a.tif", "TIFF"),
                                            ("a.jpg", "MPO")])  # fmt: skip
def test_the_first_of_several_pictures_is_taken(scene: Picture, save: Save, name: str, kind: str) -> None:
    others = [Image.fromarray(255 - scene)]
    path = save(Image.fromarray(scene), name, format=kind, save_all=True, append_images=others)
    assert mean_difference(read_picture(path), scene) < 8


def test_transparency_of_a_tiff_is_blended(save: Save) -> None:
    image = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    assert (read_picture(save(image, "a.tif")) == 255).all()


def test_a_frame_larger_than_its_gif_is_damage(scene: Picture, save: Save) -> None:
    path = save(Image.fromarray(scene).convert("P"), "a.gif")
    data = bytearray(path.read_bytes())
    descriptor = data.rindex(b",\0\0\0\0")
    data[descriptor + 5 : descriptor + 9] = b"\xff\xff\xff\xff"  # width and height
    path.write_bytes(data)
    assert "damaged GIF" in read_problem(path)

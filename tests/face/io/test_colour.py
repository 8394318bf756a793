"""Pictures in other colour spaces look as they do where they were made."""

import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from face.files import build_png_chunk, encode_picture
from face.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    RgbSpace,
    build_cmyk_profile,
    build_grey_profile,
    build_rgb_profile,
    compute_xyz_matrix,
)
from liveavatar.face.io.colour import build_profile_transform
from liveavatar.face.picture import read_picture
from liveavatar.frames import Picture

SKIN = np.array(
    [[224, 172, 150], [141, 85, 60], [255, 219, 190], [198, 134, 110], [80, 50, 38], [120, 120, 120]],
    np.uint8,
)
"""Colours in sRGB: skin, light to dark, and a grey."""
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), (0.3127, 0.3290), 2.2
SPACES = {"Adobe RGB": ADOBE_RGB, "ProPhoto": PROPHOTO, "Display P3": DISPLAY_P3}


def decode_srgb(levels: NDArray[np.generic]) -> NDArray[np.float64]:
    """IEC 61966-2-1: levels of 255 to light, 0 to 1."""
    value = np.asarray(levels, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def store_in_space(space: RgbSpace) -> Picture:
    """The colours of `SKIN` as levels of another space, as a picture of patches of 16 x 16."""
    light = decode_srgb(SKIN) @ compute_xyz_matrix(SRGB).T @ np.linalg.inv(compute_xyz_matrix(space)).T
    levels = np.round(255 * np.clip(light, 0, 1) ** (1 / space[2])).astype(np.uint8)
    return levels[None].repeat(16, 0).repeat(16, 1)


def read_patches(path: Path) -> NDArray[np.int64]:
    return read_picture(path)[8, 8::16].astype(np.int64)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_skin_has_its_colour_in_every_space(tmp_path: Path, name: str, suffix: str) -> None:
    stored = store_in_space(SPACES[name])
    path = tmp_path / f"a.{suffix}"
    options: dict[str, dict[str, Any]] = {
        "webp": {"lossless": True},
        "jpg": {"quality": 100, "subsampling": 0},
    }
    Image.fromarray(stored).save(path, icc_profile=build_rgb_profile(SPACES[name]), **options.get(suffix, {}))
    assert np.abs(read_patches(path) - SKIN).max() <= 4
    assert np.abs(stored[8, 8::16].astype(int) - SKIN).max() > 8


def save_adobe(tmp_path: Path, change: Callable[[Image.Image], Image.Image], **options: Any) -> Path:
    image = change(Image.fromarray(store_in_space(ADOBE_RGB)))
    image.save(tmp_path / "a.png", icc_profile=build_rgb_profile(ADOBE_RGB), **options)
    return tmp_path / "a.png"


def test_palettes_are_converted(tmp_path: Path) -> None:
    path = save_adobe(tmp_path, lambda image: image.quantize(16))
    assert np.abs(read_patches(path) - SKIN).max() <= 4


def test_colours_are_converted_before_transparency_is_blended(tmp_path: Path) -> None:
    def add_alpha(image: Image.Image) -> Image.Image:
        image.putalpha(128)
        return image

    blended = (SKIN.astype(int) * 128 + 255 * 127) / 255
    assert np.abs(read_patches(save_adobe(tmp_path, add_alpha)) - blended).max() <= 3


def test_orientation_and_profile_together(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 3
    path = save_adobe(tmp_path, lambda image: image.transpose(Image.Transpose.ROTATE_180), exif=exif)
    assert np.abs(read_patches(path) - SKIN).max() <= 4


def test_a_picture_of_many_strips_has_one_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_adobe(tmp_path, lambda image: image)
    whole = read_picture(path)
    monkeypatch.setattr("liveavatar.face.io.colour._STRIP_PIXELS", 300)
    np.testing.assert_array_equal(read_picture(path), whole)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_profiles(tmp_path: Path, mode: str) -> None:
    Image.new("L", (8, 8), 100).convert(mode).save(tmp_path / "a.png", icc_profile=build_grey_profile(1.0))
    grey = read_picture(tmp_path / "a.png")
    light = 100 / 255
    assert np.abs(grey.astype(int) - 255 * (1.055 * light ** (1 / 2.4) - 0.055)).max() <= 2


def test_a_profile_of_colours_for_a_grey_picture(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 100).save(tmp_path / "a.png", icc_profile=build_rgb_profile(PROPHOTO))
    expected = 255 * (1.055 * ((100 / 255) ** 1.8) ** (1 / 2.4) - 0.055)
    assert np.abs(read_picture(tmp_path / "a.png").astype(int) - expected).max() <= 2


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_printer_colours_follow_their_profile(tmp_path: Path, suffix: str) -> None:
    """Full yellow of this printer is a grey of half the lightness."""
    image = Image.new("CMYK", (16, 16), (0, 0, 255, 0))
    image.save(tmp_path / f"a.{suffix}", icc_profile=build_cmyk_profile())
    assert np.abs(read_picture(tmp_path / f"a.{suffix}").astype(int) - 119).max() <= 4
    image.save(tmp_path / f"b.{suffix}")
    assert read_picture(tmp_path / f"b.{suffix}")[0, 0, 2] < 10


def test_srgb_in_any_spelling_changes_nothing(tmp_path: Path) -> None:
    scene = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(scene).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), scene)


BROKEN = {
    "text": b"not a profile",
    "cut": build_rgb_profile(ADOBE_RGB)[:200],
    "no curves": build_rgb_profile(ADOBE_RGB).replace(b"TRC", b"XXX"),
    "for inks": build_cmyk_profile(),
    "for grey": build_grey_profile(2.2),
    "of an unknown space": build_rgb_profile(ADOBE_RGB).replace(b"RGB ", b"9CLR"),
}


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_profile_is_said_once_and_ignored(
    tmp_path: Path, name: str, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (8, 8), (200, 120, 90)).save(tmp_path / f"a.{suffix}", icc_profile=BROKEN[name])
    with caplog.at_level(logging.INFO, "liveavatar"):
        picture = read_picture(tmp_path / f"a.{suffix}")
    assert np.abs(picture.astype(int) - (200, 120, 90)).max() <= 4
    [message] = caplog.messages
    assert message.startswith(f"the colour profile of {tmp_path / f'a.{suffix}'} is ignored")


def put_profile(png: bytes, contents: bytes) -> bytes:
    return png[:33] + build_png_chunk(b"iCCP", contents) + png[33:]


def test_a_profile_of_some_megabytes_in_a_png(tmp_path: Path) -> None:
    """As calibrated screens have; Pillow reads up to one."""
    profile = build_rgb_profile(ADOBE_RGB)
    profile = struct.pack(">I", len(profile) + 3_000_000) + profile[4:] + bytes(3_000_000)
    png = encode_picture(Image.fromarray(store_in_space(ADOBE_RGB)), "PNG")
    (tmp_path / "a.png").write_bytes(put_profile(png, b"screen\0\0" + zlib.compress(profile)))
    assert np.abs(read_patches(tmp_path / "a.png") - SKIN).max() <= 4


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"name",
        b"name\0",
        b"name\0\0",
        b"name\0\7abc",
        b"name\0\0no zlib",
        b"n\0\0" + zlib.compress(bytes(20_000_000)),
    ],
)
def test_a_badly_packed_profile_in_a_png_is_ignored(
    tmp_path: Path, contents: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    png = encode_picture(Image.new("RGB", (8, 8), (200, 120, 90)), "PNG")
    (tmp_path / "a.png").write_bytes(put_profile(png, contents))
    assert read_picture(tmp_path / "a.png")[0, 0].tolist() == [200, 120, 90]
    assert [message for message in caplog.messages if "is ignored" in message] or not contents


def test_a_damaged_profile_never_stops_a_picture() -> None:
    random = np.random.default_rng(0)
    for whole in (build_rgb_profile(ADOBE_RGB), build_cmyk_profile(), build_grey_profile(2.2)):
        for _ in range(150):
            data = bytearray(whole[: random.integers(1, len(whole) + 1)] if random.random() < 0.3 else whole)
            for place in random.integers(0, len(data), random.integers(1, 6)):
                data[place] = random.integers(256)
            for mode in ("RGB", "L", "CMYK"):
                image = Image.new(mode, (4, 4))
                image.info["icc_profile"] = bytes(data)
                transform = build_profile_transform(image, "it")
                if transform:
                    transform.transform.apply(image.convert(transform.mode))


@pytest.mark.parametrize("payload", [b"ICC_PROFILE\0", b"ICC_PROFILE\0\1"])
def test_a_profile_of_a_jpeg_that_is_cut_short_is_ignored(
    payload: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (32, 16), (90, 120, 150)).save(path, quality=95)
    before, data = read_picture(path), path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe2" + struct.pack(">H", 2 + len(payload)) + payload + data[2:])
    assert np.array_equal(read_picture(path), before)
    assert "the colour profile of" in caplog.text
    assert "cut short" in caplog.text

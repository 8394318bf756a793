"""Damages pictures of every format and reads them, each reading held to 10 s of CPU and 1 GB of memory.

    PYTHONPATH=tests nice python tests/face/fuzz.py --count 20000 [--seed 0]

Cases and processes are those of `audio.fuzz`: a case is its number, and `--only NUMBER --keep FILE` writes it out.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from audio import fuzz
from face.files import encode_picture
from face.profiles import ADOBE_RGB, build_cmyk_profile, build_grey_profile, build_rgb_profile
from liveavatar.errors import PortraitError
from liveavatar.face.picture import MAX_PICTURE_SIDE, read_picture

_ICC = build_rgb_profile(ADOBE_RGB)
_EXIF = Image.Exif()
_EXIF[274], _EXIF[305] = 6, "a camera"

FORMATS: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = (
    ("jpg", "JPEG", "RGB", {"exif": _EXIF, "icc_profile": _ICC}),
    ("jpg", "JPEG", "RGB", {"progressive": True, "comment": "a note"}),
    ("jpg", "JPEG", "RGB", {"restart_marker_blocks": 3, "quality": 30}),
    ("jpg", "JPEG", "L", {"icc_profile": build_grey_profile(1.8)}),
    ("jpg", "JPEG", "CMYK", {"icc_profile": build_cmyk_profile()}),
    ("mpo", "MPO", "RGB", {"save_all": True}),
    ("png", "PNG", "RGB", {"exif": _EXIF, "icc_profile": _ICC}),
    ("png", "PNG", "RGBA", {"save_all": True}),
    ("png", "PNG", "P", {"transparency": bytes(range(100))}),
    ("png", "PNG", "1", {}),
    ("png", "PNG", "I;16", {}),
    ("webp", "WEBP", "RGB", {}),
    ("webp", "WEBP", "RGBA", {"lossless": True, "exif": _EXIF, "icc_profile": _ICC}),
    ("webp", "WEBP", "RGB", {"save_all": True}),
    ("gif", "GIF", "P", {"comment": b"a note"}),
    ("gif", "GIF", "P", {"save_all": True, "transparency": 0}),
    ("bmp", "BMP", "RGB", {}),
    ("bmp", "BMP", "P", {}),
    ("tif", "TIFF", "RGB", {"icc_profile": _ICC}),
    ("tif", "TIFF", "RGBA", {"compression": "tiff_lzw"}),
    ("tif", "TIFF", "RGB", {"compression": "tiff_adobe_deflate", "save_all": True}),
    ("tif", "TIFF", "RGB", {"compression": "jpeg"}),
    ("tif", "TIFF", "YCbCr", {"compression": "packbits"}),
    ("tif", "TIFF", "CMYK", {"compression": "lzma"}),
    ("tif", "TIFF", "I;16", {"compression": "tiff_lzw"}),
    ("tif", "TIFF", "1", {"compression": "tiff_lzw", "big_tiff": True}),
    ("tif", "TIFF", "LAB", {}),
)
"""Suffix, Pillow's format and mode, options of the writer."""


def write_corpus(folder: Path) -> list[Path]:
    """A small picture in each format."""
    y, x = np.mgrid[0:48, 0:64]
    noise = np.random.default_rng(0).integers(0, 40, (48, 64, 3))
    scene = Image.fromarray(
        (np.stack([40 + 2 * x, 30 + 3 * y, 200 - x - y], axis=-1) + noise).astype(np.uint8)
    )
    files = []
    for number, (suffix, kind, mode, options) in enumerate(FORMATS):
        image = _convert_scene(scene, mode)
        others = {"append_images": [image.rotate(180)]} if "save_all" in options else {}
        path = folder / f"{number:02}-{mode.replace(';', '')}.{suffix}"
        image.save(path, kind, **options, **others)
        files.append(path)
    run_length = folder / f"{len(files):02}-run.bmp"
    run_length.write_bytes(_build_run_length_bmp())
    return [*files, run_length]


def _convert_scene(scene: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257)
    if mode == "LAB":
        return Image.merge("LAB", scene.split())
    return scene.convert(mode)


def _build_run_length_bmp() -> bytes:
    """A BMP of 16 x 16 pixels in runs, and one row of single pixels."""
    data = bytearray(encode_picture(Image.new("P", (16, 16)), "BMP"))
    data[30] = 1  # the coding
    start = int.from_bytes(data[10:14], "little")
    return bytes(data[:start]) + b"\x10\x05\0\0" * 15 + b"\0\x10" + bytes(range(16)) + b"\0\1"


def read_case(path: Path, _thorough: bool) -> str:
    """Read as the program does; returns `"read"`, or the error without names and numbers."""
    try:
        picture = read_picture(path)
    except PortraitError as error:
        return re.sub(r"[\d,]*\d", "N", error.problem.replace(str(path), "it"))
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert 0 < max(picture.shape) <= MAX_PICTURE_SIDE
    return "read"


if __name__ == "__main__":
    fuzz.main(__file__, __doc__, write_corpus, read_case)

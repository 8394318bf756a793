"""ICC profiles of other colour spaces, built from their published primaries."""

import struct

import numpy as np
from numpy.typing import NDArray

D50 = (0.9642, 1.0, 0.8249)
"""The white of all profiles; ICC.1:2022, section 7.2.16."""

ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), (0.3127, 0.3290), 563 / 256
PROPHOTO = ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105)), (0.3457, 0.3585), 1.8
DISPLAY_P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), (0.3127, 0.3290), 2.2
"""Primaries (x, y) of red, green, blue; white; exponent. Display P3 has the curve of sRGB, near 2.2."""

RgbSpace = tuple[tuple[tuple[float, float], ...], tuple[float, float], float]

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def compute_xyz_matrix(space: RgbSpace) -> NDArray[np.float64]:
    """From linear RGB of a space to XYZ with the white D50, adapted by Bradford's transform."""
    primaries, white, _ = space
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    white_xyz = np.array([white[0] / white[1], 1, (1 - sum(white)) / white[1]])
    matrix = columns * np.linalg.solve(columns, white_xyz)
    scale = np.diag((_BRADFORD @ D50) / (_BRADFORD @ white_xyz))
    return np.asarray(np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ matrix)


def build_rgb_profile(space: RgbSpace) -> bytes:
    """A matrix profile; ICC.1:2010, version 2.4."""
    matrix = compute_xyz_matrix(space)
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(space[2] * 256)) + b"\0\0"
    tags = {name: _build_xyz(matrix[:, i]) for i, name in enumerate([b"rXYZ", b"gXYZ", b"bXYZ"])}
    tags |= dict.fromkeys([b"rTRC", b"gTRC", b"bTRC"], curve)
    return _build_profile(b"RGB ", tags)


def build_grey_profile(exponent: float) -> bytes:
    """A grey profile with one curve."""
    return _build_profile(
        b"GRAY", {b"kTRC": b"curv" + struct.pack(">IIH", 0, 1, round(exponent * 256)) + b"\0\0"}
    )


def build_cmyk_profile() -> bytes:
    """A printer profile of a cube with two levels: any ink at its full leaves half the lightness, and no colour."""
    white, levels = 255, 2
    cube = np.array(
        [white // 2 ** sum(ink) for ink in np.ndindex((levels,) * 4)]
    )  # lightness, the first ink changes slowest
    table = b"".join(bytes([lightness, 128, 128]) for lightness in cube)
    identity = np.eye(3).ravel()
    lut = (
        b"mft1"
        + bytes(4)
        + bytes([4, 3, levels, 0])
        + b"".join(struct.pack(">i", round(v * 65_536)) for v in identity)
    )
    ramp = bytes(range(256))
    return _build_profile(b"CMYK", {b"A2B0": lut + ramp * 4 + table + ramp * 3}, pcs=b"Lab ", kind=b"prtr")


def _build_xyz(value: NDArray[np.float64] | tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(part * 65_536)) for part in value)


def _build_profile(
    space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ", kind: bytes = b"mntr"
) -> bytes:
    text = b"desc\0\0\0\0\0\0\0\5test\0" + bytes(78)
    tags = {b"desc": text, b"wtpt": _build_xyz(D50), b"cprt": b"text\0\0\0\0none\0"} | tags
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += padded
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02400000, kind, space, pcs)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += b"".join(struct.pack(">i", round(part * 65_536)) for part in D50)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body

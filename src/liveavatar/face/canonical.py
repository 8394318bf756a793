"""The canonical face of the landmark network: vertices, triangles and left-right symmetry.

The network's bundle contains it as a protocol buffer (`mediapipe.tasks.vision.face_geometry.proto`). Only four
repeated fields are read, so no protobuf library is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.face.networks import FloatArray, read_landmarker_file

IntArray = NDArray[np.intp]

_IRIS_MIRROR = (473, 476, 475, 474, 477, 468, 471, 470, 469, 472)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalFace:
    """A neutral face.

    `vertices` [468, 3] in centimetres; axes as in `Landmarks`: x right, y down, z away from the camera. `uv` [468, 2].
    `triangles` [898, 3] of vertex indices. `rigidity` [468]: weight of each vertex for the head's pose, 0 for most.
    `mirror_indices` [478]: index of each landmark's counterpart on the other side of the face.
    """

    vertices: FloatArray
    uv: FloatArray
    triangles: IntArray
    rigidity: FloatArray
    mirror_indices: IntArray


@cache
def load_canonical_face() -> CanonicalFace:
    """The canonical face of the bundle; it is read once."""
    message = list(_parse_fields(read_landmarker_file("geometry_pipeline_metadata_landmarks.binarypb")))
    mesh = list(_parse_fields(next(data for field, _, data in message if field == 1)))
    numbers = _read_floats(mesh, 3).reshape(-1, 5)
    vertices = numbers[:, :3] * np.array([1, -1, -1], np.float32)
    rigidity = np.zeros(len(vertices), np.float32)
    for basis in (list(_parse_fields(data)) for field, _, data in message if field == 2):
        rigidity[next(number for field, number, _ in basis if field == 1)] = _read_floats(basis, 2)[0]
    return CanonicalFace(
        vertices=vertices,
        uv=numbers[:, 3:],
        triangles=np.array([number for field, number, _ in mesh if field == 4], np.intp).reshape(-1, 3),
        rigidity=rigidity,
        mirror_indices=_find_mirror_indices(vertices),
    )


def _find_mirror_indices(vertices: FloatArray) -> IntArray:
    flipped = vertices * np.array([-1, 1, 1], np.float32)
    distances = np.linalg.norm(vertices[:, None] - flipped[None], axis=2)
    return np.concatenate([distances.argmin(axis=0), np.array(_IRIS_MIRROR, np.intp)])


def _read_floats(message: list[tuple[int, int, bytes]], field_number: int) -> FloatArray:
    return np.frombuffer(b"".join(data for field, _, data in message if field == field_number), "<f4")


def _parse_fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, integer value and bytes of each field of a message (Protocol Buffers, "Encoding")."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        value, length = 0, 4
        if key & 7 == 0:
            (value, at), length = _read_varint(message, at), 0
        elif key & 7 == 2:
            length, at = _read_varint(message, at)
        yield key >> 3, value, message[at : at + length]
        at += length


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The base-128 varint at byte `at`, and the index of the byte after it."""
    value, shift = 0, 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1

"""Weights as safetensors: matrices in 8 bits with a scale for each output, everything else in half precision."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

Rows = NDArray[np.float32]
PackedWeights = Mapping[str, Any]
SCALE_SUFFIX = ".scale"


def load_packed_weights(name: str) -> dict[str, Rows]:
    """The weights of an asset of this package by name, float32."""
    return unpack_weights(load((files("liveavatar.speech") / "assets" / name).read_bytes()))


def save_packed_weights(path: Path, weights: Mapping[str, Rows]) -> None:
    """Write weights by name as a safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(save(pack_weights(weights)))


def unpack_weights(packed: PackedWeights) -> dict[str, Rows]:
    """Packed weights as float32."""
    read = {name: np.asarray(packed[name], np.float32) for name in packed}
    scales = {name: read.pop(name + SCALE_SUFFIX) for name in list(read) if name + SCALE_SUFFIX in read}
    return {name: rows * scales[name] if name in scales else rows for name, rows in read.items()}


def pack_weights(weights: Mapping[str, Rows]) -> dict[str, Any]:
    """Weights by name to int8 with scales and to float16; matrices are called `….weight`, [inputs, outputs]."""
    packed: dict[str, Any] = {}
    for name, rows in weights.items():
        if name.endswith(".weight"):
            scale = np.maximum(np.abs(rows).max(axis=0), 1e-9).astype(np.float32) / 127
            packed |= {name: np.rint(rows / scale).astype(np.int8), name + SCALE_SUFFIX: scale}
        else:
            packed[name] = rows.astype(np.float16)
    return packed

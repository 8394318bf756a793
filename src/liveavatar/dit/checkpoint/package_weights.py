"""The weights that ship with the package: matrices in 8 bits with a scale for each output, the rest in half precision.

One safetensors file holds all networks of the small model; names begin with `transformer.`, `autoencoder.`, `audio.`.
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from liveavatar.errors import WeightsError
from liveavatar.files import describe_path

SMALL_FILE = "small.safetensors"
SMALL_SHA256 = "5fc128c2f4410aedd35f39399f04b46333dc20f86775c754c627ce5434413b56"

_SCALE_SUFFIX = ".int8_scale"
PackedWeights = dict[str, Tensor]


def read_small_weights(folder: Path | None = None) -> dict[str, Tensor]:
    """The weights of the small model by name, float32: those of the package, or own ones from `folder`.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    content = _read_package_file() if folder is None else _read_own_file(folder / SMALL_FILE)
    try:
        return unpack_weights(load(content))
    except SafetensorError as error:
        raise WeightsError(
            f"{SMALL_FILE} is damaged: {error}", "write it again (training.dit.export)"
        ) from error


def _read_package_file() -> bytes:
    source = files("liveavatar.dit") / "assets" / SMALL_FILE
    content = source.read_bytes() if source.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SMALL_SHA256:
        raise WeightsError(f"{SMALL_FILE} in the package is missing or damaged", "install liveavatar again")
    return content


def _read_own_file(path: Path) -> bytes:
    if not path.is_file():
        raise WeightsError(
            f"{describe_path(path)} is missing", "train a model (training/dit), or leave --ckpt-dir out"
        )
    return path.read_bytes()


def pack_weights(weights: Mapping[str, Tensor]) -> PackedWeights:
    """Weights of layers, `….weight`, as int8 with a float32 scale for each output; everything else as float16."""
    packed: PackedWeights = {}
    for name, tensor in weights.items():
        if tensor.ndim < 2 or not name.endswith(".weight"):
            packed[name] = tensor.half().contiguous()
            continue
        rows = tensor.float().flatten(1)
        scale = rows.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127
        packed[name] = torch.round(rows / scale).to(torch.int8).reshape(tensor.shape).contiguous()
        packed[name + _SCALE_SUFFIX] = scale.reshape(-1, *[1] * (tensor.ndim - 1)).contiguous()
    return packed


def unpack_weights(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Packed tensors as float32."""
    scales = {
        name.removesuffix(_SCALE_SUFFIX): part
        for name, part in packed.items()
        if name.endswith(_SCALE_SUFFIX)
    }
    return {
        name: part.float() * scales[name] if name in scales else part.float()
        for name, part in packed.items()
        if not name.endswith(_SCALE_SUFFIX)
    }


def fill_network(network: nn.Module, weights: Mapping[str, Tensor], prefix: str) -> nn.Module:
    """Assign the weights whose names begin with `prefix`, and set the network to inference.

    Raises:
        WeightsError: they are not those of the network.
    """
    own = {name.removeprefix(prefix): part for name, part in weights.items() if name.startswith(prefix)}
    try:
        network.load_state_dict(own, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{SMALL_FILE} is not of this version's small model", "train it again") from error
    return network.requires_grad_(False).eval()

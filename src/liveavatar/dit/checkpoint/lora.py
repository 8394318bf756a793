"""Low-rank adapters, merged into a checkpoint's weights: W += alpha / r · B·A (LoRA, arXiv 2106.09685)."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from liveavatar.dit.checkpoint.load import KeyMismatchError, require_file

LORA_ALPHA = 64.0
"""Alpha of the Live Avatar adapters, whose rank is 128."""

LoRAPairs = Mapping[str, Mapping[str, Tensor]]
"""The matrices "A" and "B" by the name of their layer."""

_ADAPTER_KEY = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?\.weight")
_TARGET_LAYER = re.compile(r".*\.([qkvo]|ffn\.[02])")


def read_lora_pairs(model: nn.Module, file: Path) -> LoRAPairs:
    """The adapters in `file` by layer; `model` may be on the meta device.

    Every q, k, v, o and feed-forward layer needs its pair.

    Raises:
        KeyMismatchError: an adapter is missing, unexpected or of another shape.
        WeightsError: the file is missing.
    """
    return check_lora_pairs(model, load_file(require_file(file)), source=file.name)


def check_lora_pairs(model: nn.Module, adapters: Mapping[str, Tensor], *, source: str) -> LoRAPairs:
    """The adapters by layer; errors call them `source`.

    Raises:
        KeyMismatchError: an adapter is missing, unexpected or of another shape.
    """
    pairs, unexpected = _group_by_layer(adapters)
    layers = find_lora_layers(model)
    unexpected += [f"{name}.lora_{side}" for name in pairs.keys() - layers for side in pairs[name]]
    missing = [f"{name}.lora_{side}" for name in layers for side in "AB" if side not in pairs.get(name, {})]
    fitting = {name: layers[name].weight for name, pair in pairs.items() if name in layers and len(pair) == 2}
    misshapen = [name for name, weight in fitting.items() if not _has_matching_shapes(weight, pairs[name])]
    if missing or unexpected or misshapen:
        raise KeyMismatchError(source, sorted(missing), sorted(unexpected), sorted(misshapen))
    return pairs


def merge_lora_pairs(part: nn.Module, prefix: str, pairs: LoRAPairs, alpha: float = LORA_ALPHA) -> None:
    """Merge the adapters of a part of the model into its weights, in place; names of its layers start with `prefix`.

    The product is float32, and rounded once.
    """
    for name, layer in part.named_modules():
        pair = pairs.get(prefix + name)
        if pair is not None and isinstance(layer, nn.Linear):
            _add_product(layer.weight, pair["A"], pair["B"], alpha)


def find_lora_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """The layers that have adapters, by name."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and _TARGET_LAYER.fullmatch(name)
    }


def _group_by_layer(adapters: Mapping[str, Tensor]) -> tuple[dict[str, dict[str, Tensor]], list[str]]:
    """Pairs A and B by the name of their layer, and keys that belong to no adapter."""
    pairs: dict[str, dict[str, Tensor]] = {}
    unexpected = []
    for key, tensor in adapters.items():
        if match := _ADAPTER_KEY.fullmatch(key):
            pairs.setdefault(match[1], {})[match[2]] = tensor
        else:
            unexpected.append(key)
    return pairs, unexpected


def _has_matching_shapes(weight: Tensor, pair: Mapping[str, Tensor]) -> bool:
    down, up = pair["A"], pair["B"]
    return down.shape == (up.shape[-1], weight.shape[1]) and up.shape == (weight.shape[0], down.shape[0])


@torch.no_grad()
def _add_product(weight: Tensor, down: Tensor, up: Tensor, alpha: float) -> None:
    down, up = (part.to(weight.device, torch.float32) for part in (down, up))
    weight.copy_(weight.float() + alpha / len(down) * (up @ down))

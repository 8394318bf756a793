"""Low-rank changes of a checkpoint, added to its weights once: W += alpha / r · B·A (LoRA, arXiv 2106.09685)."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from liveavatar.dit.loading import KeyMismatchError, existing

ALPHA = 64.0
"""Of the Live Avatar adapters, whose rank is 128."""

_ADAPTER = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?\.weight")
_TARGET = re.compile(r".*\.([qkvo]|ffn\.[02])")


def merge_lora(model: nn.Module, file: Path, alpha: float = ALPHA) -> None:
    """Add the adapters in `file` to the weights of `model`, in place.

    Every q, k, v, o and feed-forward layer needs its pair. Products are float32, rounded once into the weight.

    Raises:
        KeyMismatchError: an adapter is missing, unexpected or of another shape; nothing was changed.
        WeightsError: the file is missing.
    """
    merge_adapters(model, load_file(existing(file)), alpha, source=file.name)


def merge_adapters(model: nn.Module, adapters: Mapping[str, Tensor], alpha: float, *, source: str) -> None:
    """Like `merge_lora`, with the adapters at hand; `source` is what errors call them.

    Raises:
        KeyMismatchError: an adapter is missing, unexpected or of another shape; nothing was changed.
    """
    pairs, unexpected = _by_layer(adapters)
    layers = targets(model)
    unexpected += [f"{name}.lora_{side}" for name in pairs.keys() - layers for side in pairs[name]]
    missing = [f"{name}.lora_{side}" for name in layers for side in "AB" if side not in pairs.get(name, {})]
    fitting = {name: layers[name].weight for name, pair in pairs.items() if name in layers and len(pair) == 2}
    misshapen = [name for name, weight in fitting.items() if not _fits(weight, pairs[name])]
    if missing or unexpected or misshapen:
        raise KeyMismatchError(source, sorted(missing), sorted(unexpected), sorted(misshapen))
    for name, weight in fitting.items():
        _add(weight, pairs[name]["A"], pairs[name]["B"], alpha)


def targets(model: nn.Module) -> dict[str, nn.Linear]:
    """The layers that adapters are for, by name."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and _TARGET.fullmatch(name)
    }


def _by_layer(adapters: Mapping[str, Tensor]) -> tuple[dict[str, dict[str, Tensor]], list[str]]:
    """Pairs A and B by the name of their layer, and names that are not of adapters."""
    pairs: dict[str, dict[str, Tensor]] = {}
    strangers = []
    for key, tensor in adapters.items():
        if match := _ADAPTER.fullmatch(key):
            pairs.setdefault(match[1], {})[match[2]] = tensor
        else:
            strangers.append(key)
    return pairs, strangers


def _fits(weight: Tensor, pair: Mapping[str, Tensor]) -> bool:
    down, up = pair["A"], pair["B"]
    return down.shape == (up.shape[-1], weight.shape[1]) and up.shape == (weight.shape[0], down.shape[0])


@torch.no_grad()
def _add(weight: Tensor, down: Tensor, up: Tensor, alpha: float) -> None:
    down, up = (part.to(weight.device, torch.float32) for part in (down, up))
    weight.copy_(weight.float() + alpha / len(down) * (up @ down))

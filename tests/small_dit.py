"""The transformer of the golden files: tiny, with weights drawn by a rule."""

import json
from functools import cache
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from drawn import SEEDS, draw_into
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import DitConfig

FOLDER = Path(__file__).parent / "golden"
ROWS, COLUMNS = 4, 8  # of patches, in the golden files


@cache
def golden(name: str) -> dict[str, Tensor]:
    """The tensors of a golden file."""
    return load_file(FOLDER / f"{name}.safetensors")


@cache
def golden_metadata(name: str) -> dict[str, object]:
    """Metadata of a golden file; values in JSON are parsed."""
    with safe_open(FOLDER / f"{name}.safetensors", "pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
    return {key: _parse_json(value) for key, value in metadata.items()}


def _parse_json(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def small_config() -> DitConfig:
    """Shape of the golden transformer."""
    config = golden_metadata("dit_kv")["cfg"]
    assert isinstance(config, dict)
    return DitConfig.from_json(config)


def small_dit() -> DiT:
    """The golden transformer, in float32."""
    model = DiT(small_config())
    draw_into(model, SEEDS["dit_kv"])
    return model.requires_grad_(False)


def max_error(actual: Tensor, expected: Tensor) -> float:
    """Largest absolute difference."""
    return (
        float((actual.float() - expected.float()).abs().max()) if torch.isfinite(actual).all() else torch.inf
    )

"""The transformer of the golden files: tiny, its weights drawn by rule."""

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
def notes(name: str) -> dict[str, object]:
    """What a golden file says about itself; JSON where it is that."""
    with safe_open(FOLDER / f"{name}.safetensors", "pt") as file:
        held: dict[str, str] = file.metadata() or {}
    return {key: _parsed(value) for key, value in held.items()}


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def small_config() -> DitConfig:
    """Shape of the golden transformer."""
    config = notes("dit_kv")["cfg"]
    assert isinstance(config, dict)
    return DitConfig.from_json(config)


def small_dit() -> DiT:
    """The golden transformer, in float32."""
    model = DiT(small_config())
    draw_into(model, SEEDS["dit_kv"])
    return model.requires_grad_(False)


def worst(actual: Tensor, expected: Tensor) -> float:
    """Largest absolute difference."""
    return (
        float((actual.float() - expected.float()).abs().max()) if torch.isfinite(actual).all() else torch.inf
    )

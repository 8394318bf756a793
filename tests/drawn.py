"""Weights drawn by rule, so that golden files need to hold outputs only.

One generator a model, parameters visited in sorted order of their names, r = randn(shape): the `weights` of the
audio encoder are 0.01 + 0.005 r; modulation is r / sqrt(last size); gamma and norm weights 1 + 0.1 r; biases
0.05 r; trainable_cond_mask and padding_tokens 0.3 r; other vectors 1 + 0.1 r; anything else r / sqrt(fan-in).
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

SEEDS = {"dit_kv": 0, "vae": 1, "causal_audio_encoder": 7, "motioner": 9, "t5": 11, "wav2vec2": 21}
"""Seed of each golden file whose weights are drawn by this rule."""


def draw(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, Tensor]:
    """A float32 tensor for each name."""
    generator = torch.Generator().manual_seed(seed)
    return {name: _scaled(name, torch.randn(*shapes[name], generator=generator)) for name in sorted(shapes)}


def draw_into(module: torch.nn.Module, seed: int) -> None:
    """Give `module` drawn weights under its own names."""
    state = module.state_dict()
    module.load_state_dict(draw({name: value.shape for name, value in state.items()}, seed))


def _scaled(name: str, r: Tensor) -> Tensor:
    if name.endswith("casual_audio_encoder.weights") or name == "weights":
        return 0.01 + 0.005 * r
    if name.endswith("modulation"):
        return r / math.sqrt(r.shape[-1])
    if "trainable_cond_mask" in name or "padding_tokens" in name:
        return 0.3 * r
    if name.endswith("bias"):
        return 0.05 * r
    if r.ndim == 1 or name.endswith("gamma"):
        return 1 + 0.1 * r
    return r / math.sqrt(r[0].numel())

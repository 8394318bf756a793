"""First weights of a transformer that is trained from nothing.

As in Wan: linear layers by Xavier, modulations near zero, and a head of zeros, so that the first velocity is zero. The
audio's shifts and scales start at zero.
"""

from math import sqrt

import torch
from torch import nn

from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import DitConfig

_EMBEDDINGS = "time_embedding.0.weight", "time_embedding.2.weight", "trainable_cond_mask.weight"
_EMBEDDING_SPREAD = 0.02


def build_transformer(config: DitConfig, seed: int = 0) -> DiT:
    """A transformer ready for training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DiT(config)
        _initialise_linear_layers(model)
        _initialise_modulations(model, 1 / sqrt(config.dim))
    return model


def _initialise_linear_layers(model: DiT) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv3d):
            nn.init.xavier_uniform_(layer.weight.flatten(1))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _initialise_modulations(model: DiT, spread: float) -> None:
    for name, weight in model.named_parameters():
        if name.endswith("modulation"):
            nn.init.normal_(weight, std=spread)
        elif name in _EMBEDDINGS:
            nn.init.normal_(weight, std=_EMBEDDING_SPREAD)
        elif name == "head.head.weight" or ("adain_layers" in name and name.endswith("linear.weight")):
            nn.init.zeros_(weight)

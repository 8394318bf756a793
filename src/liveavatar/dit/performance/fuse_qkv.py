"""Queries, keys and values of self-attention from one matrix product instead of three."""

import torch
from torch import nn

from liveavatar.dit.model.layers import SelfAttention


@torch.no_grad()
def fuse_qkv(model: nn.Module) -> None:
    """Replace q, k and v of every self-attention in `model` by `qkv`, in place.

    Runs after loading and LoRA merging, which need the checkpoint's names, and before quantisation. Layers are fused
    one after another, so the extra memory is one layer's weights.
    """
    for attention in model.modules():
        if isinstance(attention, SelfAttention) and attention.qkv is None:
            attention.qkv = _concat_linears([attention.q, attention.k, attention.v])
            del attention.q, attention.k, attention.v


def _concat_linears(layers: list[nn.Linear]) -> nn.Linear:
    with torch.device("meta"):
        fused = nn.Linear(layers[0].in_features, sum(layer.out_features for layer in layers))
    for name in ("weight", "bias"):
        joined = torch.cat([getattr(layer, name).detach() for layer in layers])
        setattr(fused, name, nn.Parameter(joined, requires_grad=False))
    return fused.train(layers[0].training)

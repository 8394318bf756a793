"""Three products become one: the queries, keys and values of self-attention out of a single layer."""

import torch
from torch import nn

from liveavatar.dit.model.layers import SelfAttention


@torch.no_grad()
def fuse_qkv(model: nn.Module) -> None:
    """Join q, k and v of every self-attention in `model` into `qkv`, in place; once is enough.

    Comes after loading and merging, which know the checkpoint's names, and before weights are quantised. Layers
    are joined one after another, so that memory is never more than one layer's weights above the model.
    """
    for attention in model.modules():
        if isinstance(attention, SelfAttention) and attention.qkv is None:
            attention.qkv = _concat_linears([attention.q, attention.k, attention.v])
            del attention.q, attention.k, attention.v


def _concat_linears(layers: list[nn.Linear]) -> nn.Linear:
    with torch.device("meta"):
        whole = nn.Linear(layers[0].in_features, sum(layer.out_features for layer in layers))
    for name in ("weight", "bias"):
        together = torch.cat([getattr(layer, name).detach() for layer in layers])
        setattr(whole, name, nn.Parameter(together, requires_grad=False))
    return whole.train(layers[0].training)

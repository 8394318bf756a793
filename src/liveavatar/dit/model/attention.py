# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The interface of attention kernels, and PyTorch's own, which runs everywhere; others are in `performance.kernels`.

Shapes: B batch, N queries, S keys, H heads, D channels of a head.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

AttentionKernel = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Attention of queries [B, N, H, D] to keys and values [B, S, H, D], without a mask, softmax scale 1/sqrt(D)."""

Fp8AttentionKernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""The same with keys and values in FP8, followed by the scales [1, 1, H, 1] of the keys and of the values."""


def torch_attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """`scaled_dot_product_attention`, which chooses among PyTorch's kernels."""
    q, k, v = (part.transpose(1, 2) for part in (q_BNHD, k_BSHD, v_BSHD))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)

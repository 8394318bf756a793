# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Attention by FlashAttention 3 if it can be imported, else by PyTorch; `kernels` chooses more carefully."""

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from types import ModuleType

import torch
from torch import Tensor
from torch.nn import functional

AttentionKernel = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries [B, N, H, D], keys and values [B, S, H, D] to what is seen [B, N, H, D]."""

Fp8AttentionKernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""The same with keys and values in FP8, and what each of them is to be multiplied by, [1, 1, H, 1] each."""

HOPPER_CAPABILITY = 9
"""Compute capability of the cards that FlashAttention 3 is for."""


def compute_attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """Every query looks at every key, softmax scale 1/sqrt(D). Returns [B, N, H, D]."""
    flash = load_flash_attention_3() if q_BNHD.is_cuda and q_BNHD.dtype is not torch.float32 else None
    return (flash or torch_attention)(q_BNHD, k_BSHD, v_BSHD)


def torch_attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """`scaled_dot_product_attention`, which chooses among PyTorch's kernels."""
    q, k, v = (part.transpose(1, 2) for part in (q_BNHD, k_BSHD, v_BSHD))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)


@cache
def load_flash_interface() -> ModuleType | None:
    """FlashAttention 3's module, or None where it is not installed or the card is not what it is for."""
    name = "flash_attn_interface"
    if importlib.util.find_spec(name) is None or torch.cuda.get_device_capability()[0] != HOPPER_CAPABILITY:
        return None
    return importlib.import_module(name)


@cache
def load_flash_attention_3() -> AttentionKernel | None:
    """FlashAttention 3, where it is there."""
    interface = load_flash_interface()
    if interface is None:
        return None

    def attend_flash(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return drop_softmax_sums(interface.flash_attn_func(q, k, v))

    return attend_flash


def drop_softmax_sums(result: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Some versions return the sums of the softmax too."""
    return result[0] if isinstance(result, tuple) else result

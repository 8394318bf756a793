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

Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries [B, N, H, D], keys and values [B, S, H, D] to what is seen [B, N, H, D]."""

Fp8Kernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""The same with keys and values in FP8, and what each of them is to be multiplied by, [1, 1, H, 1] each."""

HOPPER = 9
"""Compute capability of the cards that FlashAttention 3 is for."""


def attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """Every query looks at every key, softmax scale 1/sqrt(D). Returns [B, N, H, D]."""
    flash = flash_attention_3() if q_BNHD.is_cuda and q_BNHD.dtype is not torch.float32 else None
    return (flash or torch_attention)(q_BNHD, k_BSHD, v_BSHD)


def torch_attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """`scaled_dot_product_attention`, which chooses among PyTorch's kernels."""
    q, k, v = (part.transpose(1, 2) for part in (q_BNHD, k_BSHD, v_BSHD))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)


@cache
def flash_interface() -> ModuleType | None:
    """FlashAttention 3's module, or None where it is not installed or the card is not what it is for."""
    name = "flash_attn_interface"
    if importlib.util.find_spec(name) is None or torch.cuda.get_device_capability()[0] != HOPPER:
        return None
    return importlib.import_module(name)


@cache
def flash_attention_3() -> Kernel | None:
    """FlashAttention 3, where it is there."""
    interface = flash_interface()
    if interface is None:
        return None

    def kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return only_output(interface.flash_attn_func(q, k, v))

    return kernel


def only_output(result: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Some versions return the sums of the softmax too."""
    return result[0] if isinstance(result, tuple) else result

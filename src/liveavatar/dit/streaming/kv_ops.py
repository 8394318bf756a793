# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The functions that rings compute with, as they are or compiled, and how keys and values are kept in FP8.

A stored number is the value divided by a power of two of its layer and head, so that bringing it back adds no error
of its own. FP8 (e4m3, arXiv 2209.05433) has 3 bits of mantissa at any size between 2^-6 and 448, so what the scale is
hardly matters as long as nothing leaves that range: it is taken once, from the sink, with room for values 8 times as
large, and what is larger still becomes the largest there is.

Shapes: B batch, S tokens, H heads, K channels of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from liveavatar.dit.model.attention import Fp8AttentionKernel
from liveavatar.dit.model.rope import Rope, apply_rope

FP8_DTYPE = torch.float8_e4m3fn
FP8_MAX = 448.0
FP8_HEADROOM = 8.0
_MIN_MAGNITUDE = 2.0**-100


def compute_head_scale(part_BSHK: Tensor, headroom: float = FP8_HEADROOM) -> Tensor:
    """The power of two [1, 1, H, 1], float32, to keep values like these, and larger ones, in FP8 with."""
    largest = part_BSHK.abs().amax(dim=(0, 1, 3), keepdim=True).float().clamp_min(_MIN_MAGNITUDE)
    return (largest * (headroom / FP8_MAX)).log2().ceil().exp2()


def values_to_fp8(part_BSHK: Tensor, scale_11H1: Tensor) -> Tensor:
    """Values as FP8; what is too large becomes the largest."""
    return (part_BSHK.float() / scale_11H1).clamp(-FP8_MAX, FP8_MAX).to(FP8_DTYPE)


def fp8_to_values(stored_BSHK: Tensor, scale_11H1: Tensor, dtype: torch.dtype) -> Tensor:
    """The values that are stored, in the type `kind`."""
    return stored_BSHK.to(dtype) * scale_11H1.to(dtype)


@dataclass(frozen=True, kw_only=True, slots=True)
class KVOps:
    """`look_at_fp8` attends to FP8 as it is; without it, FP8 is widened and looked at like anything else."""

    attend_fp8: Fp8AttentionKernel | None = None
    to_fp8: Callable[[Tensor, Tensor], Tensor] = values_to_fp8
    from_fp8: Callable[[Tensor, Tensor, torch.dtype], Tensor] = fp8_to_values
    rotate: Callable[[Tensor, Rope], Tensor] = apply_rope


EAGER_KV_OPS = KVOps()
"""As PyTorch computes them one by one."""

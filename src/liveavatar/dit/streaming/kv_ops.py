# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Storage of keys and values in the KV cache, as they are or in FP8, and the functions it computes with.

A stored number is the value divided by a scale, a power of two for each layer and head, so that scaling adds no
rounding error. FP8 (e4m3, arXiv 2209.05433) has 3 bits of mantissa for any magnitude between 2^-6 and 448, so the
scale hardly matters as long as values stay in that range. It is taken once, from the first sink, with headroom for
values 8 times as large; larger values saturate.

Shapes: B batch, S tokens, H heads, K channels of a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from liveavatar.dit.model.attention import Fp8AttentionKernel
from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import Rope, apply_rope

FP8_DTYPE = torch.float8_e4m3fn
FP8_MAX = torch.finfo(FP8_DTYPE).max
"""448."""

FP8_HEADROOM = 8.0
"""How many times as large as the largest value of the sink a value may be without saturating."""

_MIN_MAGNITUDE = 2.0**-100
"""Keeps the scale of a head whose values are all zero finite."""


def compute_head_scale(part_BSHK: Tensor, headroom: float = FP8_HEADROOM) -> Tensor:
    """The scale of each head, a power of two, [1, 1, H, 1] float32, for values up to `headroom` times these."""
    largest = part_BSHK.abs().amax(dim=(0, 1, 3), keepdim=True).float().clamp_min(_MIN_MAGNITUDE)
    return (largest * (headroom / FP8_MAX)).log2().ceil().exp2()


def values_to_fp8(part_BSHK: Tensor, scale_11H1: Tensor) -> Tensor:
    """Values divided by their scale, in FP8; saturates at ±448."""
    return (part_BSHK.float() / scale_11H1).clamp(-FP8_MAX, FP8_MAX).to(FP8_DTYPE)


def fp8_to_values(stored_BSHK: Tensor, scale_11H1: Tensor, dtype: torch.dtype) -> Tensor:
    """Stored numbers times their scale, in `dtype`."""
    return stored_BSHK.to(dtype) * scale_11H1.to(dtype)


@dataclass(frozen=True, kw_only=True, slots=True)
class KVOps:
    """The functions of a cache, which may be compiled.

    `attend_fp8` attends to FP8 directly; without it, FP8 is converted before attention.
    """

    attend_fp8: Fp8AttentionKernel | None = None
    to_fp8: Callable[[Tensor, Tensor], Tensor] = values_to_fp8
    from_fp8: Callable[[Tensor, Tensor, torch.dtype], Tensor] = fp8_to_values
    rotate: Callable[[Tensor, Rope], Tensor] = apply_rope


EAGER_KV_OPS = KVOps()
"""Nothing compiled."""


class KVStorage:
    """The number format of one cache; `dtype` None stores values as they are."""

    def __init__(self, dtype: torch.dtype | None, ops: KVOps) -> None:
        self._dtype = dtype
        self._ops = ops
        self._scales: list[KeyValue] | None = None

    def calibrate_scales(self, sink: Sequence[KeyValue]) -> None:
        """Take the scale of every layer from the first sink; later sinks change nothing."""
        if self._dtype is not None and self._scales is None:
            self._scales = [KeyValue(*(compute_head_scale(part) for part in layer)) for layer in sink]

    def layer_scale(self, layer: int) -> KeyValue | None:
        """Scales [1, 1, H, 1] of a layer's keys and values, or None if they are stored as they are."""
        return None if self._scales is None else self._scales[layer]

    def pack_keys(self, layer: int, keys: Tensor) -> Tensor:
        """Keys of a layer, as they are stored."""
        return self._pack_part(keys, self.layer_scale(layer), 0)

    def pack_values(self, layer: int, values: Tensor) -> Tensor:
        """Values of a layer, as they are stored."""
        return self._pack_part(values, self.layer_scale(layer), 1)

    def _pack_part(self, part: Tensor, scale: KeyValue | None, index: int) -> Tensor:
        return part if scale is None else self._ops.to_fp8(part, scale[index])

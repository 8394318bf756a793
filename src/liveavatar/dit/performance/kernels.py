# ruff: noqa: N803, SLF001  (names carry their shape, by the legend below; these kernels have no public name)
"""The fastest attention on this device: tried out at start-up at the shape that will be drawn, wrong ones left out.

FlexAttention is not among them: it is for masks, and every query here sees every key.

Shapes: B batch, N queries, S keys, H heads, D channels of a head.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from liveavatar.dit.model.attention import (
    AttentionKernel,
    Fp8AttentionKernel,
    drop_softmax_sums,
    load_flash_attention_3,
    load_flash_interface,
    torch_attention,
)
from liveavatar.dit.plan.speed import AttentionName
from liveavatar.dit.streaming.kv_ops import compute_head_scale, values_to_fp8

_LOG = logging.getLogger(__name__)

AttentionShape = tuple[int, int, int, int]
"""Queries, keys, heads, and channels of a head."""

MAX_RELATIVE_ERROR = 0.02
"""Relative distance from float32, on a few queries, beyond which a kernel in half precision counts as wrong."""

_CHECKED_QUERIES = 32
_TIMED_CALLS = 10


@dataclass(frozen=True, slots=True)
class KernelTrial:
    """How a kernel did: seconds a call, infinite if it refused or was wrong."""

    name: AttentionName
    kernel: AttentionKernel
    seconds: float


@cache
def find_attention_kernels() -> dict[AttentionName, AttentionKernel]:
    """The kernels there may be on a GPU, as far as that can be told without trying."""
    flash = load_flash_attention_3() if torch.cuda.is_available() else None
    kernels: dict[AttentionName, AttentionKernel] = {
        "torch": torch_attention,
        "cudnn": cudnn_attention,
        "flash": flash_attention,
    }
    return kernels if flash is None else kernels | {"fa3": flash}


def cudnn_attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """cuDNN's kernel. Called by its own name: choosing it for `scaled_dot_product_attention` is for all threads."""
    q, k, v = (part.transpose(1, 2) for part in (q_BNHD, k_BSHD, v_BSHD))
    seen: Tensor = torch.ops.aten._scaled_dot_product_cudnn_attention(q, k, v, None, False)[0]
    return seen.transpose(1, 2)


def flash_attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """PyTorch's own flash kernel, likewise."""
    q, k, v = (part.transpose(1, 2) for part in (q_BNHD, k_BSHD, v_BSHD))
    seen: Tensor = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)[0]
    return seen.transpose(1, 2)


def choose_attention_kernel(name: AttentionName, shape: AttentionShape, like: Tensor) -> AttentionKernel:
    """The kernel called `name`; "auto" is the fastest at this shape, in the type and on the device of `like`."""
    if name != "auto":
        return find_attention_kernels()[name]
    if not like.is_cuda:
        return torch_attention
    best = find_fastest_kernel(shape, like.dtype, like.device)
    _LOG.info("attention by %s: %.2f ms a layer", best.name, 1000 * best.seconds)
    return best.kernel


@cache
def find_fastest_kernel(shape: AttentionShape, dtype: torch.dtype, device: torch.device) -> KernelTrial:
    """The best of the kernels that are right."""
    queries, keys, heads, head_dim = shape
    generator = torch.Generator(device).manual_seed(0)
    q, k, v = (
        torch.randn(1, length, heads, head_dim, generator=generator, dtype=dtype, device=device)
        for length in (queries, keys, keys)
    )
    tried = [try_kernel(name, kernel, q, k, v) for name, kernel in find_attention_kernels().items()]
    return min(tried, key=lambda trial: trial.seconds)


def try_kernel(name: AttentionName, kernel: AttentionKernel, q: Tensor, k: Tensor, v: Tensor) -> KernelTrial:
    """Compare a kernel with float32, and time it."""
    few = q[:, :_CHECKED_QUERIES].float()
    expected = torch_attention(few, k.float(), v.float())
    try:
        actual = kernel(q, k, v)[:, :_CHECKED_QUERIES].float()
    except RuntimeError as refusal:
        _LOG.debug("attention by %s is not possible: %s", name, refusal)
        return KernelTrial(name, kernel, float("inf"))
    if not (actual - expected).norm() <= MAX_RELATIVE_ERROR * expected.norm():
        _LOG.warning("attention by %s is wrong on this device, and is not used", name)
        return KernelTrial(name, kernel, float("inf"))
    return KernelTrial(name, kernel, time_calls(lambda: kernel(q, k, v), q.device))


def time_calls(function: Callable[[], object], device: torch.device) -> float:
    """Mean duration of a few calls after a first one."""
    function()
    _synchronise_device(device)
    start = time.perf_counter()
    for _ in range(_TIMED_CALLS):
        function()
    _synchronise_device(device)
    return (time.perf_counter() - start) / _TIMED_CALLS


def _synchronise_device(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def make_fp8_attention(quantise: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Fp8AttentionKernel | None:
    """FlashAttention 3 in FP8, where it is there; `narrow` rounds the queries, as `fresh` does."""
    interface = load_flash_interface()
    if interface is None:
        return None

    def attend_fp8(q_BNHD: Tensor, k: Tensor, v: Tensor, k_scale: Tensor, v_scale: Tensor) -> Tensor:
        q, q_scale = quantise(q_BNHD)
        scales = [scale.view(1, -1).expand(len(q), -1).contiguous() for scale in (q_scale, k_scale, v_scale)]
        return drop_softmax_sums(
            interface.flash_attn_func(q, k, v, q_descale=scales[0], k_descale=scales[1], v_descale=scales[2])
        ).to(q_BNHD.dtype)

    return attend_fp8


def quantise_queries(q_BNHD: Tensor) -> tuple[Tensor, Tensor]:
    """Queries in FP8, and the scale [1, 1, H, 1] of each head, from its own largest value."""
    scale = compute_head_scale(q_BNHD, headroom=1.0)
    return values_to_fp8(q_BNHD, scale), scale

# ruff: noqa: N803, SLF001  (names carry their shape, by the legend below; these kernels have no public name)
"""The attention kernels of a GPU, and the choice among them: each is compared with float32 and timed at start-up.

One kernel is chosen for the whole transformer: self-attention, text, audio and the sink. FlexAttention is not among
the candidates: it is for masks, and every query here attends to every key.

Shapes: B batch, N queries, S keys, H heads, D channels of a head.
"""

import importlib
import importlib.util
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from liveavatar.dit.model.attention import AttentionKernel, Fp8AttentionKernel, torch_attention
from liveavatar.dit.plan.config import DitConfig, StreamConfig
from liveavatar.dit.plan.speed import AttentionName
from liveavatar.dit.streaming.kv_ops import compute_head_scale, values_to_fp8

_LOG = logging.getLogger(__name__)

HOPPER_CAPABILITY = 9
"""Major compute capability of the GPUs that FlashAttention 3 supports."""

MAX_RELATIVE_ERROR = 0.02
"""Relative distance from float32, on a few queries, beyond which a kernel in half precision counts as wrong."""

TRIAL_TOKENS = 704 // 16 * (384 // 16)
"""Tokens of a latent frame at which kernels are timed: those of the default size, 704x384."""

_CHECKED_QUERIES = 32
_TIMED_CALLS = 10


class AttentionShape(NamedTuple):
    """Sizes of one attention, and how often a pass of the transformer calls it."""

    batch: int
    queries: int
    keys: int
    heads: int
    head_dim: int
    calls: int = 1


@dataclass(frozen=True, slots=True)
class KernelTrial:
    """Result of trying a kernel: seconds a call, infinite if it raised an error or was wrong."""

    name: AttentionName
    kernel: AttentionKernel
    seconds: float


@cache
def load_flash_interface() -> ModuleType | None:
    """The module of FlashAttention 3, or None if it is not installed or the GPU is not Hopper."""
    name = "flash_attn_interface"
    if importlib.util.find_spec(name) is None or torch.cuda.get_device_capability()[0] != HOPPER_CAPABILITY:
        return None
    return importlib.import_module(name)


@cache
def load_flash_attention_3() -> AttentionKernel | None:
    """FlashAttention 3, or None where there is none."""
    interface = load_flash_interface()
    if interface is None:
        return None

    def attend_flash(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return drop_softmax_sums(interface.flash_attn_func(q, k, v))

    return attend_flash


def drop_softmax_sums(result: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The output alone: some versions return the sums of the softmax too."""
    return result[0] if isinstance(result, tuple) else result


@cache
def find_attention_kernels() -> dict[AttentionName, AttentionKernel]:
    """The kernels a GPU may have, before any is tried."""
    flash = load_flash_attention_3() if torch.cuda.is_available() else None
    kernels: dict[AttentionName, AttentionKernel] = {
        "torch": torch_attention,
        "cudnn": cudnn_attention,
        "flash": flash_attention,
    }
    return kernels if flash is None else kernels | {"fa3": flash}


def cudnn_attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """cuDNN's kernel, called directly: selecting it for `scaled_dot_product_attention` would affect all threads."""
    q, k, v = (part.transpose(1, 2) for part in (q_BNHD, k_BSHD, v_BSHD))
    attended: Tensor = torch.ops.aten._scaled_dot_product_cudnn_attention(q, k, v, None, False)[0]
    return attended.transpose(1, 2)


def flash_attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """PyTorch's own flash kernel, called directly for the same reason."""
    q, k, v = (part.transpose(1, 2) for part in (q_BNHD, k_BSHD, v_BSHD))
    attended: Tensor = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)[0]
    return attended.transpose(1, 2)


def choose_attention_kernel(name: AttentionName, config: DitConfig, like: Tensor) -> AttentionKernel:
    """The kernel called `name`; "auto" is the fastest for this transformer, in the type and on the device of `like`.

    "fp8" names a kernel of self-attention alone (`make_fp8_attention`); the rest gets the fastest.
    """
    if name not in ("auto", "fp8"):
        return find_attention_kernels()[name]
    if not like.is_cuda:
        return torch_attention
    best = find_fastest_kernel(attention_shapes(config, StreamConfig()), like.dtype, like.device)
    _LOG.info("attention by %s: %.1f ms a pass", best.name, 1000 * best.seconds)
    return best.kernel


def attention_shapes(
    config: DitConfig, stream: StreamConfig, frame_tokens: int = TRIAL_TOKENS
) -> tuple[AttentionShape, ...]:
    """Attention to the full KV cache, to the text and to the audio, in one pass of the transformer."""
    heads = config.heads, config.head_dim
    block_tokens = stream.block_latents * frame_tokens
    sink_tokens = frame_tokens * 5 // 2  # the portrait 1; the past 1 + 1/4 + 4/16 (`frame_packer`)
    cache_tokens = sink_tokens + stream.clip_latents * frame_tokens
    return (
        AttentionShape(1, block_tokens, cache_tokens, *heads, calls=config.layers),
        AttentionShape(1, block_tokens, config.text_len, *heads, calls=config.layers),
        AttentionShape(
            stream.block_latents, frame_tokens, config.audio_tokens + 1, *heads, calls=len(config.inject)
        ),
    )


@cache
def find_fastest_kernel(
    shapes: tuple[AttentionShape, ...], dtype: torch.dtype, device: torch.device
) -> KernelTrial:
    """The kernel with the least time for one pass, among those that are right at every shape."""
    trials = [
        KernelTrial(name, kernel, time_pass(name, kernel, shapes, dtype, device))
        for name, kernel in find_attention_kernels().items()
    ]
    return min(trials, key=lambda trial: trial.seconds)


def time_pass(
    name: AttentionName,
    kernel: AttentionKernel,
    shapes: tuple[AttentionShape, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> float:
    """Seconds of all attention calls of a pass, infinite if the kernel fails at one of the shapes."""
    return sum(
        shape.calls * try_kernel(name, kernel, *random_inputs(shape, dtype, device)).seconds
        for shape in shapes
    )


def random_inputs(
    shape: AttentionShape, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values from the standard normal distribution, always the same."""
    generator = torch.Generator(device).manual_seed(0)
    q, k, v = (
        torch.randn(
            shape.batch, length, shape.heads, shape.head_dim, generator=generator, dtype=dtype, device=device
        )
        for length in (shape.queries, shape.keys, shape.keys)
    )
    return q, k, v


def try_kernel(name: AttentionName, kernel: AttentionKernel, q: Tensor, k: Tensor, v: Tensor) -> KernelTrial:
    """Compare a kernel with float32, and time it."""
    expected = torch_attention(q[:, :_CHECKED_QUERIES].float(), k.float(), v.float())
    try:
        actual = kernel(q, k, v)[:, :_CHECKED_QUERIES].float()
    except RuntimeError as refusal:
        _LOG.debug("attention by %s is not possible: %s", name, refusal)
        return KernelTrial(name, kernel, float("inf"))
    if not (actual - expected).norm() <= MAX_RELATIVE_ERROR * expected.norm():  # NaN counts as wrong
        _LOG.warning("attention by %s is wrong on this device, and is not used", name)
        return KernelTrial(name, kernel, float("inf"))
    return KernelTrial(name, kernel, time_calls(lambda: kernel(q, k, v), q.device))


def time_calls(function: Callable[[], object], device: torch.device) -> float:
    """Mean seconds of `_TIMED_CALLS` calls after a warm-up call."""
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
    """FlashAttention 3 in FP8, or None where there is none; `quantise` is `quantise_queries`, compiled or not."""
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

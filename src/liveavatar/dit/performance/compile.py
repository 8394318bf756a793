"""Compilation of what lies between matrix products and attention, from outside the model.

A layer is three pure functions around two attentions, an injector two around one. Each function is compiled once for
all layers, because weights are inputs of the compiled code; a new shape (the sink, another picture size) compiles it
again. Results differ by rounding only: fused operations keep float32 in between.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from liveavatar.dit.codecs.vae import VAE, VAEDecoder
from liveavatar.dit.model.attention import AttentionKernel, torch_attention
from liveavatar.dit.model.audio_injector import AudioInjector
from liveavatar.dit.model.layers import TransformerBlock
from liveavatar.dit.model.rope import apply_rope
from liveavatar.dit.performance.kernels import make_fp8_attention, quantise_queries
from liveavatar.dit.plan.speed import SpeedOptions
from liveavatar.dit.streaming.kv_cache import KVCache, MakeKVCache, RingKVCache, RingShape
from liveavatar.dit.streaming.kv_ops import FP8_DTYPE, KVOps, fp8_to_values, values_to_fp8

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
CompileBackend = str | Callable[..., object]
"""A backend of torch.compile."""

MAX_COMPILED_SHAPES = 64
"""Variants of one function that PyTorch compiles before it refuses; its default is 8."""


def compile_function(
    function: Callable[Arguments, Returned], backend: CompileBackend = "inductor"
) -> Callable[Arguments, Returned]:
    """`function`, compiled as one graph for every shape it is called with."""
    from torch._dynamo import config  # slow to import

    config.recompile_limit = max(MAX_COMPILED_SHAPES, config.recompile_limit)
    return torch.compile(function, fullgraph=True, dynamic=False, backend=backend)


def compile_model(model: nn.Module, backend: CompileBackend = "inductor") -> None:
    """Compile the blocks and injectors in `model`, in place; compilation runs at the first call."""
    for module in model.modules():
        names = _COMPILED_METHODS.get(type(module), ())
        for name in names:
            setattr(module, name, compile_function(getattr(module, name), backend))


_COMPILED_METHODS: dict[type[nn.Module], tuple[str, ...]] = {
    TransformerBlock: ("before_self_attention", "between_attentions", "after_cross_attention"),
    AudioInjector: ("project_query", "add_output"),
}


def compile_vae(vae: VAE, backend: CompileBackend = "inductor") -> None:
    """Make the decoder's weights channels-last, as cuDNN prefers, and compile the decoding of a latent, in place."""
    for layer in vae.decoder.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            last = torch.channels_last if layer.weight.ndim == 4 else torch.channels_last_3d
            layer.weight.data = layer.weight.data.contiguous(memory_format=last)
    if isinstance(
        vae.decoder, VAEDecoder
    ):  # the past of tiles is copied from the host, which cannot be compiled
        setattr(vae.decoder, "forward_pure", compile_function(vae.decoder.forward_pure, backend))  # noqa: B010  (a method, to mypy)


def make_cache_factory(
    speed: SpeedOptions,
    cache_type: Callable[..., KVCache] = RingKVCache,
    backend: CompileBackend = "inductor",
) -> MakeKVCache:
    """A factory of caches of `cache_type`, in the number format and with the FP8 attention that `speed` sets."""

    def compile_if_asked(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
        return compile_function(function, backend) if speed.compile else function

    ops = KVOps(
        to_fp8=compile_if_asked(values_to_fp8),
        from_fp8=compile_if_asked(fp8_to_values),
        rotate=compile_if_asked(apply_rope),
        attend_fp8=make_fp8_attention(compile_if_asked(quantise_queries))
        if speed.attention == "fp8"
        else None,
    )
    storage_dtype = FP8_DTYPE if speed.kv == "fp8" else None
    own_sinks = {"steps_per_sink": 1} if speed.wavefront else {}

    def make_kv_cache(
        shape: RingShape, like: Tensor, *, kernel: AttentionKernel = torch_attention
    ) -> KVCache:
        return cache_type(shape, like, storage_dtype, ops, kernel=kernel, **own_sinks)

    return make_kv_cache

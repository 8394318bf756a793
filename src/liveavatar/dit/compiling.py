"""The model made faster from outside: what lies between products and attention is compiled, the same for all layers.

Every layer is three pure functions around two attentions, every injector two around one. Each function is compiled
once and serves all its layers, since weights are its inputs; a new shape (the sink, another size of picture) compiles
it again. What is computed is the same but for rounding: joined operations keep float32 in between.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from liveavatar.dit.audio_tokens import AudioInjector
from liveavatar.dit.cache import MakeMemory, Rings, RingShape, SessionMemory
from liveavatar.dit.kernels import choose, flash_attention_3_fp8, fresh
from liveavatar.dit.layers import Block
from liveavatar.dit.rope import rotate
from liveavatar.dit.speed import Speed
from liveavatar.dit.vae import VAE, Decoder
from liveavatar.dit.ways import FP8, Ways, narrowed, widened

Given = ParamSpec("Given")
Made = TypeVar("Made")
Compiler = str | Callable[..., object]
"""A backend of torch.compile."""

SHAPES = 64
"""Kinds of shapes that one function is compiled for before PyTorch gives up."""


def compiled(function: Callable[Given, Made], backend: Compiler = "inductor") -> Callable[Given, Made]:
    """`function`, compiled as a whole for every shape it meets."""
    from torch._dynamo import config  # slow to import, and needed only here

    config.recompile_limit = max(SHAPES, config.recompile_limit)
    return torch.compile(function, fullgraph=True, dynamic=False, backend=backend)


def compile_model(model: nn.Module, backend: Compiler = "inductor") -> None:
    """Compile what the blocks and injectors in `model` compute, in place; nothing is compiled before it is called."""
    for module in model.modules():
        names = _FUNCTIONS.get(type(module), ())
        for name in names:
            setattr(module, name, compiled(getattr(module, name), backend))


_FUNCTIONS: dict[type[nn.Module], tuple[str, ...]] = {
    Block: ("before", "between", "after"),
    AudioInjector: ("ask", "add"),
}


def compile_vae(vae: VAE, backend: Compiler = "inductor") -> None:
    """Lay the decoder's weights out as cuDNN wants them, channels last, and compile what decodes a latent, in place."""
    for layer in vae.decoder.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            last = torch.channels_last if layer.weight.ndim == 4 else torch.channels_last_3d
            layer.weight.data = layer.weight.data.contiguous(memory_format=last)
    if isinstance(vae.decoder, Decoder):  # tiles bring their past from the host, which cannot be compiled
        setattr(vae.decoder, "resume", compiled(vae.decoder.resume, backend))  # noqa: B010  (a method, to mypy)


def memory_for(
    speed: Speed, kind: Callable[..., SessionMemory] = Rings, backend: Compiler = "inductor"
) -> MakeMemory:
    """Rings, or what takes their place, in the numbers, and read by the kernel, that `speed` says."""

    def wrap(function: Callable[Given, Made]) -> Callable[Given, Made]:
        return compiled(function, backend) if speed.compile else function

    store = FP8 if speed.kv == "fp8" else None
    ways = Ways(narrow=wrap(narrowed), widen=wrap(widened), turn=wrap(rotate))
    if speed.attention == "fp8":
        ways = replace(ways, look_at_fp8=flash_attention_3_fp8(wrap(fresh)))
    only = {"shared": 1} if speed.wavefront else {}

    def make(shape: RingShape, like: Tensor) -> SessionMemory:
        size = shape.block, shape.sink + shape.ring, shape.heads, shape.head_dim
        look = choose("auto" if speed.attention == "fp8" else speed.attention, size, like)
        return kind(shape, like, store, replace(ways, look=look), **only)

    return make

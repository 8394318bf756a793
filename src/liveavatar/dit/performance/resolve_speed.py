"""Speed options turned into settings of one device."""

import importlib.util
from dataclasses import replace

from liveavatar.dit.performance.kernels import find_attention_kernels
from liveavatar.dit.plan.speed import AttentionName, SpeedOptions
from liveavatar.errors import OptionError


def resolve_speed(requested: SpeedOptions, device: str, *, offloaded: bool = False) -> SpeedOptions:
    """The options with every "auto" but the attention kernel decided for `device`.

    `offloaded` is whether weights or the KV cache lie in host memory.

    Raises:
        OptionError: an option was set explicitly and the device cannot do it.
    """
    is_gpu = device.split(":", maxsplit=1)[0] == "cuda"
    can_record = is_gpu and not offloaded and not requested.wavefront
    if requested.graphs and not can_record:
        raise OptionError(
            "a CUDA graph is of one block at a time, and all in the memory of a GPU", "leave graphs out"
        )
    if requested.attention not in ("auto", "torch") and not (is_gpu and _has_kernel(requested.attention)):
        raise OptionError(f"there is no {requested.attention} attention here", "use --speed auto")
    return replace(
        requested,
        compile=_or_default(requested.compile, is_gpu and importlib.util.find_spec("triton") is not None),
        graphs=_or_default(requested.graphs, can_record),
        attention=requested.attention if is_gpu else "torch",
        kv=requested.kv or ("fp8" if requested.attention == "fp8" else "bf16"),
        vae_stream=_or_default(requested.vae_stream, is_gpu),
    )


def _or_default(requested: bool | None, default: bool) -> bool:
    return default if requested is None else requested


def _has_kernel(attention: AttentionName) -> bool:
    return ("fa3" if attention == "fp8" else attention) in find_attention_kernels()

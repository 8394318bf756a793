"""Options of speed: compilation, CUDA graphs, attention kernel, KV cache format. Without torch."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from liveavatar.errors import OptionError

AttentionName = Literal["auto", "fa3", "cudnn", "flash", "torch", "fp8"]
"""FlashAttention 3, cuDNN's kernel, PyTorch's flash kernel, or PyTorch's own choice; "fp8" is FlashAttention 3 on an
FP8 cache. "auto" times those that are there and takes the fastest."""

KVFormat = Literal["bf16", "fp8"]
"""Number format of the KV cache; bf16 stands for the type of the model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedOptions:
    """Settings of speed. None is decided at start-up by the abilities of the device.

    Attributes:
        compile: fuse what lies between matrix products by torch.compile; delays the first frames by minutes.
        graphs: record a denoising step as a CUDA graph once the KV cache is full, and replay it.
        attention: the kernel of all attention; "fp8" of self-attention, with less accuracy.
        kv: number format of the KV cache; FP8 halves its memory, with less accuracy.
        vae_stream: decode while the next block's first step is computed, if its sound is known.
        wavefront: compute as many consecutive blocks at once as there are steps, each at another step. For recordings:
            a block is done when the sound of the blocks after it is known, 0.48 s for every step but one.
    """

    compile: bool | None = None
    graphs: bool | None = None
    attention: AttentionName = "auto"
    kv: KVFormat | None = None
    vae_stream: bool | None = None
    wavefront: bool = False

    def __post_init__(self) -> None:
        if self.attention not in get_args(AttentionName):
            raise OptionError(
                f"there is no attention {self.attention!r}",
                f"use one of: {', '.join(get_args(AttentionName))}",
            )
        if self.kv not in (None, *get_args(KVFormat)):
            raise OptionError(f"there is no KV cache format {self.kv!r}", "use bf16 or fp8")
        if self.attention == "fp8" and self.kv == "bf16":
            raise OptionError("FP8 attention needs an FP8 KV cache", "leave kv out, or use fp8")

    def __str__(self) -> str:
        """One line: every setting and its value."""
        settings = ((field.name.replace("_", " "), getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{name} {_format_setting(value)}" for name, value in settings)


EXACT_SPEED = SpeedOptions(compile=False, graphs=False, attention="torch", kv="bf16", vae_stream=False)
"""No optimisation, as in comparisons with the public implementation."""

SPEED_PRESETS = {
    "auto": SpeedOptions(),
    "eager": EXACT_SPEED,
    "fp8-kv": SpeedOptions(kv="fp8"),
    "fp8-attention": SpeedOptions(attention="fp8"),
    "wavefront": SpeedOptions(wavefront=True),
}
"""Values of `--speed`."""


def find_speed_preset(name: str) -> SpeedOptions:
    """The preset called `name`.

    Raises:
        OptionError: there is none.
    """
    if name not in SPEED_PRESETS:
        raise OptionError(f"there is no speed {name!r}", f"use one of: {', '.join(SPEED_PRESETS)}")
    return SPEED_PRESETS[name]


def _format_setting(value: bool | str | None) -> str:
    return value if isinstance(value, str) else {True: "on", False: "off", None: "auto"}[value]

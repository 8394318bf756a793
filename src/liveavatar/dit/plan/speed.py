"""How fast the engine is to be, and at what price. No torch is imported with this module."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from liveavatar.errors import OptionError

AttentionName = Literal["auto", "fa3", "cudnn", "flash", "torch", "fp8"]
"""FlashAttention 3, cuDNN's, PyTorch's own flash kernel, whatever PyTorch takes; FP8 is FlashAttention 3 on FP8 rings.
"auto" times those that are there and takes the fastest."""

KVFormat = Literal["bf16", "fp8"]
"""What keys and values are kept in; bf16 stands for the type of the model, whatever it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedOptions:
    """Ways to save time. None is decided at start-up by what the device can do.

    Attributes:
        compile: let torch.compile join what lies between products; the first frames come minutes later.
        graphs: record a whole denoising step as a CUDA graph once the ring is full, and replay it.
        attention: the kernel of self-attention; FP8 costs accuracy.
        kv: numbers that the rings are kept in; FP8 costs accuracy and halves their memory.
        vae_stream: decode beside the next block's first step, which is drawn ahead where its sound is known.
        wavefront: draw as many consecutive blocks at once as there are steps, each at another one; for recordings:
            a block comes when the sound of the blocks after it is known, 0.48 s for every step but one.
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
            raise OptionError(f"keys and values cannot be kept in {self.kv!r}", "use bf16 or fp8")
        if self.attention == "fp8" and self.kv == "bf16":
            raise OptionError("FP8 attention reads FP8 rings", "keep keys and values in fp8")

    def __str__(self) -> str:
        """One line for people."""
        said = ((field.name.replace("_", " "), getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{name} {_format_setting(value)}" for name, value in said)


EXACT_SPEED = SpeedOptions(compile=False, graphs=False, attention="torch", kv="bf16", vae_stream=False)
"""Everything one by one, as it is compared with the public implementation."""

SPEED_PRESETS = {
    "auto": SpeedOptions(),
    "eager": EXACT_SPEED,
    "fp8-kv": SpeedOptions(kv="fp8"),
    "fp8-attention": SpeedOptions(attention="fp8"),
    "wavefront": SpeedOptions(wavefront=True),
}
"""What can be asked for by name."""


def find_speed_preset(name: str) -> SpeedOptions:
    """The speed called `name`.

    Raises:
        OptionError: there is none.
    """
    if name not in SPEED_PRESETS:
        raise OptionError(f"there is no speed {name!r}", f"use one of: {', '.join(SPEED_PRESETS)}")
    return SPEED_PRESETS[name]


def _format_setting(value: bool | str | None) -> str:
    return value if isinstance(value, str) else {True: "on", False: "off", None: "auto"}[value]

"""What common cards can do, and what that makes of the model, by arithmetic. No torch is imported with this module.

Rates are those of the makers' data sheets, dense, with sums in float32. A program reaches a part of them: what is
assumed here is `SHARE`, until it has been measured on the card at hand (`benchmarks/dit.py`).
"""

import importlib.util
from dataclasses import dataclass

from liveavatar.dit.config import DitConfig, StreamConfig
from liveavatar.dit.memory import MEASURED_AREA, Plan
from liveavatar.errors import OptionError

SHARE = 0.5
"""Of its rate that a card is thought to reach in the transformer."""

DECODER_SHARE = 0.36
"""The same in the autoencoder, whose convolutions are smaller."""

DECODE_A_BLOCK = 27.5e12
"""Operations to decode 12 pictures of 704x384."""

PREPARE = 103e12 + 69e12
"""Operations to encode 73 pictures of the portrait at 704x384, and for its sink."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A card: memory in GiB; thousand million operations a second ×1000 in bfloat16 and in 8 bits; GB/s from the host.

    `fp8` is whether the 8 bits are FP8; older cards have int8.
    """

    name: str
    memory: float
    bf16: float
    eight: float
    link: float
    fp8: bool = True


CARDS = (
    Card(name="B200", memory=179, bf16=2250, eight=4500, link=50),
    Card(name="H200", memory=140, bf16=989, eight=1979, link=50),
    Card(name="H20", memory=95.6, bf16=148, eight=296, link=50),
    Card(name="H100 NVL", memory=93.6, bf16=835, eight=1671, link=50),
    Card(name="H100 PCIe", memory=79.6, bf16=756, eight=1513, link=50),
    Card(name="H100", memory=79.6, bf16=989, eight=1979, link=50),
    Card(name="H800", memory=79.6, bf16=989, eight=1979, link=50),
    Card(name="A100 40GB", memory=39.5, bf16=312, eight=624, link=25, fp8=False),
    Card(name="A100", memory=79.2, bf16=312, eight=624, link=25, fp8=False),
    Card(name="A800", memory=79.2, bf16=312, eight=624, link=25, fp8=False),
    Card(name="RTX PRO 6000", memory=95.6, bf16=503, eight=1007, link=50),
    Card(name="RTX 6000 Ada", memory=48, bf16=364, eight=728, link=25),
    Card(name="RTX A6000", memory=48, bf16=155, eight=310, link=25, fp8=False),
    Card(name="L40S", memory=45, bf16=362, eight=733, link=25),
    Card(name="L40", memory=45, bf16=181, eight=362, link=25),
    Card(name="L4", memory=22.5, bf16=121, eight=242, link=25),
    Card(name="A40", memory=45, bf16=150, eight=299, link=25, fp8=False),
    Card(name="A10G", memory=22.5, bf16=70, eight=140, link=25, fp8=False),
    Card(name="A10", memory=22.5, bf16=125, eight=250, link=25, fp8=False),
    Card(name="RTX 5090", memory=31.8, bf16=210, eight=419, link=50),
    Card(name="RTX 5080", memory=15.9, bf16=113, eight=225, link=50),
    Card(name="RTX 4090", memory=24, bf16=165, eight=330, link=25),
    Card(name="RTX 4080", memory=16, bf16=97, eight=195, link=25),
    Card(name="RTX 3090 Ti", memory=24, bf16=80, eight=320, link=25, fp8=False),
    Card(name="RTX 3090", memory=24, bf16=71, eight=284, link=25, fp8=False),
)
"""Names as they are within those that `nvidia-smi` tells."""

_A_CYCLE = {8.0: (2048, 2), 8.6: (512, 4), 8.9: (512, 2), 9.0: (4096, 2), 10.0: (8192, 2), 12.0: (512, 2)}
"""Operations in bfloat16 a cycle of one multiprocessor by compute capability, and how many times as many in 8 bits."""


def find_card(name: str) -> Card:
    """The card that people call so: "4090", "H100 PCIe", "NVIDIA GeForce RTX 4090".

    Raises:
        OptionError: it is not in the list.
    """
    card = known_card(name)
    if card is None:
        known = ", ".join(card.name for card in CARDS)
        raise OptionError(f"nothing is known of a card called {name!r}", f"use one of: {known}")
    return card


def known_card(name: str) -> Card | None:
    """The card in the list that is called so, in full or in part."""
    asked = _plain(name)
    within = [card for card in CARDS if _plain(card.name) in asked]
    around = [card for card in CARDS if asked and asked in _plain(card.name)]
    closest = sorted(within, key=lambda card: -len(card.name)) + sorted(
        around, key=lambda card: len(card.name)
    )
    return closest[0] if closest else None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def measured_card(name: str, memory: int) -> Card | None:
    """A card of this machine that is not in the list, from its multiprocessors and clock; None if they are not told."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    for index in range(torch.cuda.device_count()):
        told = torch.cuda.get_device_properties(index)
        capability = told.major + told.minor / 10
        if told.name == name and capability in _A_CYCLE:
            a_cycle, times = _A_CYCLE[capability]
            rate = told.multi_processor_count * told.clock_rate * 1e3 * a_cycle / 1e12
            return Card(
                name=name,
                memory=memory / 2**30,
                bf16=rate,
                eight=rate * times,
                link=25,
                fp8=capability >= 8.9,
            )
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Seconds for a denoising step's arithmetic and for what it copies, to decode a block and to prepare a portrait."""

    compute: float
    copy: float
    decode: float
    prepare: float
    stream: StreamConfig

    @property
    def block(self) -> float:
        """Seconds a block: copies go on beside arithmetic."""
        return self.stream.steps * max(self.compute, self.copy) + self.decode

    @property
    def fps(self) -> float:
        """Pictures a second."""
        return self.stream.block_pictures / self.block

    @property
    def first_frame(self) -> float:
        """Seconds from a portrait to its first picture, with everything loaded."""
        return self.prepare + self.block

    @property
    def limit(self) -> str:
        """What it waits for."""
        return "copying from host memory" if self.copy > self.compute else "arithmetic"


def forecast(card: Card, plan: Plan, stream: StreamConfig, size: tuple[int, int]) -> Forecast:
    """How fast this card is with this plan, for frames of (width, height)."""
    tokens = size[0] // 16 * (size[1] // 16)
    linear, attention = step_operations(DitConfig(), stream, tokens)
    area = size[0] * size[1] / MEASURED_AREA
    bf16 = card.bf16 * 1e12
    eight = card.eight * 1e12 if plan.rung.eight else bf16
    return Forecast(
        compute=(linear / eight + attention / bf16) / SHARE,
        copy=copied(plan, stream, tokens) / (card.link * 1e9),
        decode=DECODE_A_BLOCK * area / (bf16 * DECODER_SHARE),
        prepare=PREPARE * area / (bf16 * DECODER_SHARE),
        stream=stream,
    )


def step_operations(config: DitConfig, stream: StreamConfig, tokens: int) -> tuple[float, float]:
    """Operations of one denoising step of a block, in products with weights and in attention.

    `tokens` is of one latent frame.
    """
    block, square = stream.block_latents * tokens, config.dim**2
    layer = 6 * square + 2 * config.dim * config.ffn_dim  # q, k, v, o; q, o to the text; feed-forward
    linear = 2 * block * (config.layers * layer + len(config.inject) * 2 * square)
    seen = stream.clip_latents * tokens + tokens * 5 // 2
    attention = 4 * block * config.dim * config.layers * (seen + config.text_len)
    return linear, attention


def copied(plan: Plan, stream: StreamConfig, tokens: int) -> float:
    """Bytes that come from host memory in a denoising step: blocks, and the ring but for the block itself."""
    config = DitConfig()
    block = (6 * config.dim**2 + 2 * config.dim * config.ffn_dim) * (1 if plan.rung.eight else 2)
    past = (stream.clip_latents - stream.block_latents) * tokens * 2 * config.layers * config.dim
    return plan.streamed * block + (past if plan.rung.host_rings else 0)

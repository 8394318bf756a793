"""What common cards can do, and what that makes of the model, by arithmetic. No torch is imported with this module.

Rates are those of the makers' data sheets, dense, with sums in float32. A program reaches a part of them: what is
assumed here is `SHARE`, until it has been measured on the card at hand (`benchmarks/dit.py`).
"""

import importlib.util
from dataclasses import dataclass

from liveavatar.dit.plan.config import DitConfig, StreamConfig
from liveavatar.dit.plan.memory import MEASURED_AREA, MemoryPlan
from liveavatar.errors import OptionError

COMPUTE_EFFICIENCY = 0.5
"""Of its rate that a card is thought to reach in the transformer."""

DECODER_EFFICIENCY = 0.36
"""The same in the autoencoder, whose convolutions are smaller."""

DECODE_BLOCK_FLOPS = 27.5e12
"""Operations to decode 12 pictures of 704x384."""

PREPARE_FLOPS = 103e12 + 69e12
"""Operations to encode 73 pictures of the portrait at 704x384, and for its sink."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A card: memory in GiB; thousand million operations a second ×1000 in bfloat16 and in 8 bits; GB/s from the host.

    `fp8` is whether the 8 bits are FP8; older cards have int8.
    """

    name: str
    memory_gib: float
    bf16_tflops: float
    eight_bit_tops: float
    host_bandwidth: float
    has_fp8: bool = True


CARDS = (
    Card(name="B200", memory_gib=179, bf16_tflops=2250, eight_bit_tops=4500, host_bandwidth=50),
    Card(name="H200", memory_gib=140, bf16_tflops=989, eight_bit_tops=1979, host_bandwidth=50),
    Card(name="H20", memory_gib=95.6, bf16_tflops=148, eight_bit_tops=296, host_bandwidth=50),
    Card(name="H100 NVL", memory_gib=93.6, bf16_tflops=835, eight_bit_tops=1671, host_bandwidth=50),
    Card(name="H100 PCIe", memory_gib=79.6, bf16_tflops=756, eight_bit_tops=1513, host_bandwidth=50),
    Card(name="H100", memory_gib=79.6, bf16_tflops=989, eight_bit_tops=1979, host_bandwidth=50),
    Card(name="H800", memory_gib=79.6, bf16_tflops=989, eight_bit_tops=1979, host_bandwidth=50),
    Card(
        name="A100 40GB",
        memory_gib=39.5,
        bf16_tflops=312,
        eight_bit_tops=624,
        host_bandwidth=25,
        has_fp8=False,
    ),
    Card(name="A100", memory_gib=79.2, bf16_tflops=312, eight_bit_tops=624, host_bandwidth=25, has_fp8=False),
    Card(name="A800", memory_gib=79.2, bf16_tflops=312, eight_bit_tops=624, host_bandwidth=25, has_fp8=False),
    Card(name="RTX PRO 6000", memory_gib=95.6, bf16_tflops=503, eight_bit_tops=1007, host_bandwidth=50),
    Card(name="RTX 6000 Ada", memory_gib=48, bf16_tflops=364, eight_bit_tops=728, host_bandwidth=25),
    Card(
        name="RTX A6000", memory_gib=48, bf16_tflops=155, eight_bit_tops=310, host_bandwidth=25, has_fp8=False
    ),
    Card(name="L40S", memory_gib=45, bf16_tflops=362, eight_bit_tops=733, host_bandwidth=25),
    Card(name="L40", memory_gib=45, bf16_tflops=181, eight_bit_tops=362, host_bandwidth=25),
    Card(name="L4", memory_gib=22.5, bf16_tflops=121, eight_bit_tops=242, host_bandwidth=25),
    Card(name="A40", memory_gib=45, bf16_tflops=150, eight_bit_tops=299, host_bandwidth=25, has_fp8=False),
    Card(name="A10G", memory_gib=22.5, bf16_tflops=70, eight_bit_tops=140, host_bandwidth=25, has_fp8=False),
    Card(name="A10", memory_gib=22.5, bf16_tflops=125, eight_bit_tops=250, host_bandwidth=25, has_fp8=False),
    Card(name="RTX 5090", memory_gib=31.8, bf16_tflops=210, eight_bit_tops=419, host_bandwidth=50),
    Card(name="RTX 5080", memory_gib=15.9, bf16_tflops=113, eight_bit_tops=225, host_bandwidth=50),
    Card(name="RTX 4090", memory_gib=24, bf16_tflops=165, eight_bit_tops=330, host_bandwidth=25),
    Card(name="RTX 4080", memory_gib=16, bf16_tflops=97, eight_bit_tops=195, host_bandwidth=25),
    Card(
        name="RTX 3090 Ti",
        memory_gib=24,
        bf16_tflops=80,
        eight_bit_tops=320,
        host_bandwidth=25,
        has_fp8=False,
    ),
    Card(
        name="RTX 3090", memory_gib=24, bf16_tflops=71, eight_bit_tops=284, host_bandwidth=25, has_fp8=False
    ),
)
"""Names as they are within those that `nvidia-smi` tells."""

_FLOPS_PER_CYCLE = {
    8.0: (2048, 2),
    8.6: (512, 4),
    8.9: (512, 2),
    9.0: (4096, 2),
    10.0: (8192, 2),
    12.0: (512, 2),
}
"""Operations in bfloat16 a cycle of one multiprocessor by compute capability, and how many times as many in 8 bits."""


def find_card(name: str) -> Card:
    """The card that people call so: "4090", "H100 PCIe", "NVIDIA GeForce RTX 4090".

    Raises:
        OptionError: it is not in the list.
    """
    card = match_card(name)
    if card is None:
        known = ", ".join(card.name for card in CARDS)
        raise OptionError(f"nothing is known of a card called {name!r}", f"use one of: {known}")
    return card


def match_card(name: str) -> Card | None:
    """The card in the list that is called so, in full or in part."""
    asked = _normalise_name(name)
    within = [card for card in CARDS if _normalise_name(card.name) in asked]
    around = [card for card in CARDS if asked and asked in _normalise_name(card.name)]
    closest = sorted(within, key=lambda card: -len(card.name)) + sorted(
        around, key=lambda card: len(card.name)
    )
    return closest[0] if closest else None


def _normalise_name(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def derive_card(name: str, memory_bytes: int) -> Card | None:
    """A card of this machine that is not in the list, from its multiprocessors and clock; None if they are not told."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    for index in range(torch.cuda.device_count()):
        told = torch.cuda.get_device_properties(index)
        capability = told.major + told.minor / 10
        if told.name == name and capability in _FLOPS_PER_CYCLE:
            a_cycle, times = _FLOPS_PER_CYCLE[capability]
            rate = told.multi_processor_count * told.clock_rate * 1e3 * a_cycle / 1e12
            return Card(
                name=name,
                memory_gib=memory_bytes / 2**30,
                bf16_tflops=rate,
                eight_bit_tops=rate * times,
                host_bandwidth=25,
                has_fp8=capability >= 8.9,
            )
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedForecast:
    """Seconds for a denoising step's arithmetic and for what it copies, to decode a block and to prepare a portrait."""

    compute_seconds: float
    copy_seconds: float
    decode_seconds: float
    prepare_seconds: float
    stream: StreamConfig

    @property
    def block_seconds(self) -> float:
        """Seconds a block: copies go on beside arithmetic."""
        return self.stream.steps * max(self.compute_seconds, self.copy_seconds) + self.decode_seconds

    @property
    def fps(self) -> float:
        """Pictures a second."""
        return self.stream.block_pictures / self.block_seconds

    @property
    def first_frame_seconds(self) -> float:
        """Seconds from a portrait to its first picture, with everything loaded."""
        return self.prepare_seconds + self.block_seconds

    @property
    def bottleneck(self) -> str:
        """What it waits for."""
        return "copying from host memory" if self.copy_seconds > self.compute_seconds else "arithmetic"


def forecast_speed(
    card: Card, plan: MemoryPlan, stream: StreamConfig, size: tuple[int, int]
) -> SpeedForecast:
    """How fast this card is with this plan, for frames of (width, height)."""
    tokens = size[0] // 16 * (size[1] // 16)
    linear, attention = count_step_operations(DitConfig(), stream, tokens)
    area = size[0] * size[1] / MEASURED_AREA
    bf16 = card.bf16_tflops * 1e12
    eight = card.eight_bit_tops * 1e12 if plan.profile.eight_bit_weights else bf16
    return SpeedForecast(
        compute_seconds=(linear / eight + attention / bf16) / COMPUTE_EFFICIENCY,
        copy_seconds=count_copied_bytes(plan, stream, tokens) / (card.host_bandwidth * 1e9),
        decode_seconds=DECODE_BLOCK_FLOPS * area / (bf16 * DECODER_EFFICIENCY),
        prepare_seconds=PREPARE_FLOPS * area / (bf16 * DECODER_EFFICIENCY),
        stream=stream,
    )


def count_step_operations(config: DitConfig, stream: StreamConfig, tokens: int) -> tuple[float, float]:
    """Operations of one denoising step of a block, in products with weights and in attention.

    `tokens` is of one latent frame.
    """
    block, square = stream.block_latents * tokens, config.dim**2
    layer = 6 * square + 2 * config.dim * config.ffn_dim  # q, k, v, o; q, o to the text; feed-forward
    linear = 2 * block * (config.layers * layer + len(config.inject) * 2 * square)
    seen = stream.clip_latents * tokens + tokens * 5 // 2
    attention = 4 * block * config.dim * config.layers * (seen + config.text_len)
    return linear, attention


def count_copied_bytes(plan: MemoryPlan, stream: StreamConfig, tokens: int) -> float:
    """Bytes that come from host memory in a denoising step: blocks, and the ring but for the block itself."""
    config = DitConfig()
    block = (6 * config.dim**2 + 2 * config.dim * config.ffn_dim) * (
        1 if plan.profile.eight_bit_weights else 2
    )
    past = (stream.clip_latents - stream.block_latents) * tokens * 2 * config.layers * config.dim
    return plan.offloaded_blocks * block + (past if plan.profile.host_cache else 0)

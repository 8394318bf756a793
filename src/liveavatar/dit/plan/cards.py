"""Rates of common cards, and a forecast of the engine's speed from them. No torch is imported with this module.

Rates are those of the makers' data sheets: dense, with float32 accumulation. Programs reach a part of them, here
assumed as `COMPUTE_EFFICIENCY` and `DECODER_EFFICIENCY`. `benchmarks/dit/speed.py` measures it on a card.
"""

import importlib.util
from dataclasses import dataclass

from liveavatar.dit.plan.config import DitConfig, StreamConfig
from liveavatar.dit.plan.memory import MEASURED_AREA, MemoryPlan, count_frame_tokens, count_sink_tokens
from liveavatar.errors import OptionError

COMPUTE_EFFICIENCY = 0.5
"""Share of its rate that a card is assumed to reach in the transformer."""

DECODER_EFFICIENCY = 0.36
"""The same in the autoencoder, whose convolutions are smaller."""

DECODE_BLOCK_FLOPS = 27.5e12
"""Operations to decode 12 pictures of 704x384, counted by `benchmarks/dit/memory.py`."""

PREPARE_FLOPS = 103e12 + 69e12
"""Operations to encode 73 pictures of the portrait at 704x384, and to compute its sink, counted likewise."""

_UNKNOWN_CARD_BANDWIDTH = 25
"""GB/s from the host that a card outside the list is assumed to have: PCIe 4.0 with 16 lanes."""

_FP8_CAPABILITY = 8.9
"""Compute capability from which a card multiplies FP8."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card: memory in GiB, 10¹² operations a second in bfloat16 and in 8 bits, GB/s from host memory.

    `has_fp8` is whether the 8 bits are FP8; older cards have int8.
    """

    name: str
    memory_gib: float
    bf16_tflops: float
    eight_bit_tops: float
    host_bandwidth: float
    has_fp8: bool = True


CARDS = (
    # name, GiB, bfloat16 TFLOPS, 8-bit TOPS, GB/s from the host
    Card("B200", 179, 2250, 4500, 50),
    Card("H200", 140, 989, 1979, 50),
    Card("H20", 95.6, 148, 296, 50),
    Card("H100 NVL", 93.6, 835, 1671, 50),
    Card("H100 PCIe", 79.6, 756, 1513, 50),
    Card("H100", 79.6, 989, 1979, 50),
    Card("H800", 79.6, 989, 1979, 50),
    Card("A100 40GB", 39.5, 312, 624, 25, has_fp8=False),
    Card("A100", 79.2, 312, 624, 25, has_fp8=False),
    Card("A800", 79.2, 312, 624, 25, has_fp8=False),
    Card("RTX PRO 6000", 95.6, 503, 1007, 50),
    Card("RTX 6000 Ada", 48, 364, 728, 25),
    Card("RTX A6000", 48, 155, 310, 25, has_fp8=False),
    Card("L40S", 45, 362, 733, 25),
    Card("L40", 45, 181, 362, 25),
    Card("L4", 22.5, 121, 242, 25),
    Card("A40", 45, 150, 299, 25, has_fp8=False),
    Card("A10G", 22.5, 70, 140, 25, has_fp8=False),
    Card("A10", 22.5, 125, 250, 25, has_fp8=False),
    Card("RTX 5090", 31.8, 210, 419, 50),
    Card("RTX 5080", 15.9, 113, 225, 50),
    Card("RTX 4090", 24, 165, 330, 25),
    Card("RTX 4080", 16, 97, 195, 25),
    Card("RTX 3090 Ti", 24, 80, 320, 25, has_fp8=False),
    Card("RTX 3090", 24, 71, 284, 25, has_fp8=False),
)
"""Names as they occur in those of `nvidia-smi`."""

_FLOPS_PER_CYCLE = {
    8.0: (2048, 2), 8.6: (512, 4), 8.9: (512, 2), 9.0: (4096, 2), 10.0: (8192, 2), 12.0: (512, 2),
}  # fmt: skip
"""By compute capability: bfloat16 operations a cycle of one multiprocessor, and the factor in 8 bits."""


def find_card(name: str) -> Card:
    """The card with this name, in full or in part: "4090", "H100 PCIe", "NVIDIA GeForce RTX 4090".

    Raises:
        OptionError: it is not in the list.
    """
    card = match_card(name)
    if card is None:
        known = ", ".join(card.name for card in CARDS)
        raise OptionError(f"nothing is known of a card called {name!r}", f"use one of: {known}")
    return card


def match_card(name: str) -> Card | None:
    """The closest card of the list; None if there is none."""
    wanted = _normalise_name(name)
    within = [card for card in CARDS if _normalise_name(card.name) in wanted]
    around = [card for card in CARDS if wanted and wanted in _normalise_name(card.name)]
    closest = sorted(within, key=lambda card: -len(card.name)) + sorted(
        around, key=lambda card: len(card.name)
    )
    return closest[0] if closest else None


def _normalise_name(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def derive_card(name: str, memory_bytes: int) -> Card | None:
    """A card of this machine that is not in the list, from its multiprocessors and clock; None if unknown."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        capability = device.major + device.minor / 10
        if device.name == name and capability in _FLOPS_PER_CYCLE:
            per_cycle, eight_bit_factor = _FLOPS_PER_CYCLE[capability]
            tflops = device.multi_processor_count * device.clock_rate * 1e3 * per_cycle / 1e12
            return Card(
                name=name,
                memory_gib=memory_bytes / 2**30,
                bf16_tflops=tflops,
                eight_bit_tops=tflops * eight_bit_factor,
                host_bandwidth=_UNKNOWN_CARD_BANDWIDTH,
                has_fp8=capability >= _FP8_CAPABILITY,
            )
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedForecast:
    """Seconds of a denoising step's arithmetic and of its copies, to decode a block, and to prepare a portrait."""

    compute_seconds: float
    copy_seconds: float
    decode_seconds: float
    prepare_seconds: float
    stream: StreamConfig

    @property
    def block_seconds(self) -> float:
        """Seconds a block; copies overlap arithmetic."""
        return self.stream.steps * max(self.compute_seconds, self.copy_seconds) + self.decode_seconds

    @property
    def fps(self) -> float:
        """Pictures a second."""
        return self.stream.block_pictures / self.block_seconds

    @property
    def first_frame_seconds(self) -> float:
        """Seconds from a portrait to its first picture, with the models loaded."""
        return self.prepare_seconds + self.block_seconds

    @property
    def bottleneck(self) -> str:
        """What limits a denoising step."""
        return "copying from host memory" if self.copy_seconds > self.compute_seconds else "arithmetic"


def forecast_speed(
    card: Card, plan: MemoryPlan, stream: StreamConfig, size: tuple[int, int]
) -> SpeedForecast:
    """Speed of this card with this plan, for frames of (width, height)."""
    tokens = count_frame_tokens(size)
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
    """Operations of one denoising step of a block: in products with weights, and in attention.

    `tokens` is those of one latent frame.
    """
    block, square = stream.block_latents * tokens, config.dim**2
    layer = 6 * square + 2 * config.dim * config.ffn_dim  # q, k, v, o; q, o to the text; feed-forward
    linear = 2 * block * (config.layers * layer + len(config.inject) * 2 * square)
    visible = stream.clip_latents * tokens + count_sink_tokens(tokens)
    attention = 4 * block * config.dim * config.layers * (visible + config.text_len)
    return linear, attention


def count_copied_bytes(plan: MemoryPlan, stream: StreamConfig, tokens: int) -> float:
    """Bytes copied from host memory in a denoising step: offloaded blocks, and the past blocks of a host KV cache."""
    config = DitConfig()
    weight_bytes = 1 if plan.profile.eight_bit_weights else 2
    block = (6 * config.dim**2 + 2 * config.dim * config.ffn_dim) * weight_bytes
    past = (stream.clip_latents - stream.block_latents) * tokens * 2 * config.layers * config.dim
    return plan.offloaded_blocks * block + (past if plan.profile.host_cache else 0)

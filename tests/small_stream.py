"""A short stream of the golden transformer: the same blocks for every way to compute them."""

import torch
from torch import Tensor

from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.streaming.conditioning import Conditioning
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.latents import LatentStream
from small_dit import golden

SMALL = StreamConfig(steps=3, clip_blocks=2, sink_distance=(4, 8))
BLOCKS = 6
"""Enough for the ring to wrap around and the portrait to start moving."""


def small_conditioning(dit: DiT, height: int = 8, width: int = 8, seed: int = 4) -> Conditioning:
    """A random portrait and its past."""
    dtype = dit.template_tensor.dtype
    past = torch.randn(1, 16, 19, height, width, generator=torch.Generator().manual_seed(seed))
    text = dit.project_text(golden("dit_kv")["context"])
    return Conditioning(
        text=text,
        sink=dit.compute_sink(past[:, :, :1].to(dtype), past.to(dtype), text),
        height=height,
        width=width,
    )


def block_features(block: int) -> Tensor:
    """The audio features of a block."""
    return golden("dit_kv")[f"audio{block % 3}"]


def run_stream(
    dit: DiT, config: StreamConfig = SMALL, blocks: int = BLOCKS, make_cache: MakeKVCache = RingKVCache
) -> list[Tensor]:
    """The clean latents of a few blocks."""
    stream = LatentStream(dit, small_conditioning(dit), config, 0, make_cache)
    return [list(stream.denoise_block(block, block_features(block)))[-1] for block in range(blocks)]


def relative_error(actual: list[Tensor], expected: list[Tensor]) -> float:
    """Norm of the difference of all latents, relative to the expected."""
    result, target = torch.cat(actual, dim=2).float(), torch.cat(expected, dim=2).float()
    return float((result - target).norm() / target.norm())

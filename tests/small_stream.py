"""Streams of the golden transformer: the same few blocks, drawn in every way there is."""

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
"""Enough for the ring to roll over and the portrait to begin to move."""


def small_scene(dit: DiT, height: int = 8, width: int = 8, seed: int = 4) -> Conditioning:
    """A portrait and its past, drawn at random."""
    kind = dit.template_tensor.dtype
    past = torch.randn(1, 16, 19, height, width, generator=torch.Generator().manual_seed(seed))
    text = dit.project_text(golden("dit_kv")["context"])
    return Conditioning(
        text=text,
        sink=dit.compute_sink(past[:, :, :1].to(kind), past.to(kind), text),
        height=height,
        width=width,
    )


def heard(block: int) -> Tensor:
    """What is said during a block, the same for every way of drawing it."""
    return golden("dit_kv")[f"audio{block % 3}"]


def drawn(
    dit: DiT, config: StreamConfig = SMALL, blocks: int = BLOCKS, rings: MakeKVCache = RingKVCache
) -> list[Tensor]:
    """The finished latents of a few blocks."""
    stream = LatentStream(dit, small_scene(dit), config, 0, rings)
    return [list(stream.denoise_block(block, heard(block)))[-1] for block in range(blocks)]


def distance(actual: list[Tensor], expected: list[Tensor]) -> float:
    """How far latents are from what they should be, relative, in the mean over all."""
    of, to = torch.cat(actual, dim=2).float(), torch.cat(expected, dim=2).float()
    return float((of - to).norm() / to.norm())

"""The transformer put together part by part: filled, joined, rounded and put in its place, before the next one comes.

So that the device never holds more of it than it will keep, and one block besides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.performance.fuse_qkv import fuse_qkv
from liveavatar.dit.performance.offload import (
    BlockSwapper,
    OffloadedBlock,
    choose_spread_layers,
    offload_text_layers,
)
from liveavatar.dit.performance.quantise import UNQUANTISED_PARTS, WeightFormat, quantise_linears

WeightFiller = Callable[[str, nn.Module], None]
"""Gives a part of the transformer, on the meta device or mapped from a file, its weights on the device. The name ends
with a dot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerLayout:
    """How the transformer lies in memory.

    Attributes:
        device: where it computes.
        kind: numbers of large weights; `scaled_mm` is whether the device multiplies FP8 itself.
        streamed: blocks in host memory.
        parks: whether what is needed once a prompt is in host memory.
        joined: whether q, k and v are one layer; False keeps the checkpoint's names.
    """

    device: torch.device
    kind: WeightFormat = "bf16"
    scaled_mm: bool = False
    offloaded_blocks: int = 0
    offloads_text: bool = False
    fused_qkv: bool = True


def assemble_transformer(dit: DiT, fill_part: WeightFiller, layout: TransformerLayout) -> DiT:
    """Fill `dit` and lay it out, in place; returns it."""
    carousel = BlockSwapper(layout.device)
    chosen = {
        f"blocks.{layer}.": layer
        for layer in choose_spread_layers(min(layout.offloaded_blocks, len(dit.blocks)), len(dit.blocks))
    }
    for name, part in list(iterate_parts(dit)):
        fill_part(name, part)
        part.requires_grad_(False).eval()
        _quantise_part(name, part, layout)
        if layout.offloads_text:
            offload_text_layers(part)
        if name in chosen:
            dit.blocks[chosen[name]] = carousel.add(part)
    return dit


def _quantise_part(name: str, part: nn.Module, layout: TransformerLayout) -> None:
    if layout.fused_qkv:
        fuse_qkv(part)
    if name.partition(".")[0] not in UNQUANTISED_PARTS:
        quantise_linears(part, layout.kind, scaled_mm=layout.scaled_mm)


def offload_blocks(dit: DiT, count: int, device: torch.device) -> None:
    """Move `count` more blocks, evenly spread, to host memory."""
    resident = [layer for layer, block in enumerate(dit.blocks) if not isinstance(block, OffloadedBlock)]
    carousel = BlockSwapper(device)
    for place in choose_spread_layers(min(count, len(resident)), len(resident)):
        layer = resident[place]
        dit.blocks[layer] = carousel.add(dit.blocks[layer])


def count_offloaded_blocks(dit: DiT) -> int:
    """How many blocks lie in host memory."""
    return sum(isinstance(block, OffloadedBlock) for block in dit.blocks)


def iterate_parts(dit: DiT) -> Iterator[tuple[str, nn.Module]]:
    """All parts by name: blocks and injectors one by one, and the rest."""
    for name, child in dit.named_children():
        if name == "audio_injector":
            for group, injectors in child.named_children():
                yield from ((f"{name}.{group}.{index}.", part) for index, part in injectors.named_children())
        elif isinstance(child, nn.ModuleList):
            yield from ((f"{name}.{index}.", part) for index, part in child.named_children())
        else:
            yield f"{name}.", child

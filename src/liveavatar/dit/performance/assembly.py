"""Assembly of the transformer part by part: weights are filled, fused, quantised and placed before the next part.

So the device never holds more than the finished transformer and one block.
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
"""Moves the weights of a part to the device, or makes them there: (name with a final dot, part) -> None.

The part is on the meta device, or mapped from a file.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerLayout:
    """Placement and formats of the transformer's weights.

    Attributes:
        device: where the transformer computes.
        weight_format: number format of large weights.
        scaled_mm: whether the device has FP8 products.
        offloaded_blocks: number of blocks in host memory.
        offloads_text: whether the projections of the text are in host memory.
        fused_qkv: whether q, k and v are one layer; False keeps the checkpoint's names.
    """

    device: torch.device
    weight_format: WeightFormat = "bf16"
    scaled_mm: bool = False
    offloaded_blocks: int = 0
    offloads_text: bool = False
    fused_qkv: bool = True


def assemble_transformer(dit: DiT, fill_part: WeightFiller, layout: TransformerLayout) -> DiT:
    """Fill and place the weights of `dit`, in place; returns it."""
    swapper = BlockSwapper(layout.device)
    offloaded = {
        f"blocks.{layer}.": layer
        for layer in choose_spread_layers(min(layout.offloaded_blocks, len(dit.blocks)), len(dit.blocks))
    }
    for name, part in list(iterate_parts(dit)):
        fill_part(name, part)
        part.requires_grad_(False).eval()
        _quantise_part(name, part, layout)
        if layout.offloads_text:
            offload_text_layers(part)
        if name in offloaded:
            dit.blocks[offloaded[name]] = swapper.add(part)
    return dit


def _quantise_part(name: str, part: nn.Module, layout: TransformerLayout) -> None:
    if layout.fused_qkv:
        fuse_qkv(part)
    if name.partition(".")[0] not in UNQUANTISED_PARTS:
        quantise_linears(part, layout.weight_format, scaled_mm=layout.scaled_mm)


def offload_blocks(dit: DiT, count: int, device: torch.device) -> None:
    """Move `count` more blocks, evenly spread, to host memory."""
    resident = [layer for layer, block in enumerate(dit.blocks) if not isinstance(block, OffloadedBlock)]
    swapper = BlockSwapper(device)
    for index in choose_spread_layers(min(count, len(resident)), len(resident)):
        layer = resident[index]
        dit.blocks[layer] = swapper.add(dit.blocks[layer])


def count_offloaded_blocks(dit: DiT) -> int:
    """Number of blocks in host memory."""
    return sum(isinstance(block, OffloadedBlock) for block in dit.blocks)


def iterate_parts(dit: DiT) -> Iterator[tuple[str, nn.Module]]:
    """All parts and their names: each block, each injector, and the other children."""
    for name, child in dit.named_children():
        if name == "audio_injector":
            for group, injectors in child.named_children():
                yield from ((f"{name}.{group}.{index}.", part) for index, part in injectors.named_children())
        elif isinstance(child, nn.ModuleList):
            yield from ((f"{name}.{index}.", part) for index, part in child.named_children())
        else:
            yield f"{name}.", child

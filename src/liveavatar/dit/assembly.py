"""The transformer put together part by part: filled, joined, rounded and put in its place, before the next one comes.

So that the device never holds more of it than it will keep, and one block besides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from liveavatar.dit.fuse import fuse
from liveavatar.dit.model import DiT
from liveavatar.dit.offload import Carousel, Streamed, park, spread
from liveavatar.dit.quantize import KEPT, Kind, quantize

Fill = Callable[[str, nn.Module], None]
"""Gives a part of the transformer, on the meta device or mapped from a file, its weights on the device. The name ends
with a dot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How the transformer lies in memory.

    Attributes:
        device: where it computes.
        kind: numbers of large weights; `scaled_mm` is whether the device multiplies FP8 itself.
        streamed: blocks in host memory.
        parks: whether what is needed once a prompt is in host memory.
        joined: whether q, k and v are one layer; False keeps the checkpoint's names.
    """

    device: torch.device
    kind: Kind = "bf16"
    scaled_mm: bool = False
    streamed: int = 0
    parks: bool = False
    joined: bool = True


def assemble(dit: DiT, fill: Fill, layout: Layout) -> DiT:
    """Fill `dit` and lay it out, in place; returns it."""
    carousel = Carousel(layout.device)
    chosen = {
        f"blocks.{layer}.": layer for layer in spread(min(layout.streamed, len(dit.blocks)), len(dit.blocks))
    }
    for name, part in list(parts_of(dit)):
        fill(name, part)
        part.requires_grad_(False).eval()
        _round(name, part, layout)
        if layout.parks:
            park(part)
        if name in chosen:
            dit.blocks[chosen[name]] = carousel.add(part)
    return dit


def _round(name: str, part: nn.Module, layout: Layout) -> None:
    if layout.joined:
        fuse(part)
    if name.partition(".")[0] not in KEPT:
        quantize(part, layout.kind, scaled_mm=layout.scaled_mm)


def stream_blocks(dit: DiT, count: int, device: torch.device) -> None:
    """Move `count` more blocks, evenly spread, to host memory."""
    resident = [layer for layer, block in enumerate(dit.blocks) if not isinstance(block, Streamed)]
    carousel = Carousel(device)
    for place in spread(min(count, len(resident)), len(resident)):
        layer = resident[place]
        dit.blocks[layer] = carousel.add(dit.blocks[layer])


def streamed_blocks(dit: DiT) -> int:
    """How many blocks lie in host memory."""
    return sum(isinstance(block, Streamed) for block in dit.blocks)


def parts_of(dit: DiT) -> Iterator[tuple[str, nn.Module]]:
    """All parts by name: blocks and injectors one by one, and the rest."""
    for name, child in dit.named_children():
        if name == "audio_injector":
            for group, injectors in child.named_children():
                yield from ((f"{name}.{group}.{index}.", part) for index, part in injectors.named_children())
        elif isinstance(child, nn.ModuleList):
            yield from ((f"{name}.{index}.", part) for index, part in child.named_children())
        else:
            yield f"{name}.", child

# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The autoencoder's decoder in tiles, for small GPUs: less working memory, and the past in host memory.

The middle of the decoder, whose attention spans the frame, runs on the whole frame; it is small. The upsampling layers
that follow have a receptive field of a few positions, so tiles that overlap by that much (`DECODER_REACH_LATENTS`)
give exactly the frame that is decoded at once. A smaller overlap costs less and changes pixels next to the seams a
little: how much is in `benchmarks/results/2-core-amd-epyc/dit/predictions.md`.

Shapes: B batch, C channels, T time, H height, W width.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from liveavatar.dit.codecs.vae import PIXELS_PER_LATENT, CausalModule, CausalPast, VAEDecoder
from liveavatar.dit.model.host_memory import allocate_host

TILE_COUNT = 4
HALO_LATENTS = 6
"""Latents around a tile that are decoded with it and cut off; with 6, no pixel is off by more than a level of 255."""

DECODER_REACH_LATENTS = 13
"""Latents around a pixel that it depends on after the middle of the decoder."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A range of the longer side, in latents: what is decoded, and the part of it that is kept."""

    begin: int
    end: int
    keep_begin: int
    keep_end: int


def split_tiles(length: int, count: int, halo: int) -> list[Tile]:
    """`count` tiles, or `length` if that is less."""
    count = min(count, length)
    edges = [length * index // count for index in range(count + 1)]
    return [
        Tile(max(0, first - halo), min(length, last + halo), first, last) for first, last in pairwise(edges)
    ]


class TiledDecoder(CausalModule):
    """Takes the place of a VAE's `decoder`; the past of tiles lies in host memory between latents."""

    def __init__(self, decoder: VAEDecoder, count: int = TILE_COUNT, halo: int = HALO_LATENTS) -> None:
        super().__init__()
        self.decoder = decoder
        self._count = count
        self._halo = halo
        self._layer_names: dict[nn.Module, str] = {
            layer: name for name, layer in decoder.named_modules() if name.startswith(("upsamples.", "head."))
        }

    def forward(self, latent_BCTHW: Tensor, past: CausalPast) -> Tensor:
        """Pixels [B, 3, t, 8H, 8W], not yet clamped to -1…1."""
        x = self.decoder.conv1(latent_BCTHW, past)
        for block in self.decoder.middle:
            x = block(x, past)
        side = 3 if x.shape[3] > x.shape[4] else 4
        tiles = split_tiles(x.shape[side], self._count, self._halo)
        return torch.cat(
            [self._decode_tile(number, tile, x, side, past) for number, tile in enumerate(tiles)], side
        )

    def _decode_tile(self, number: int, tile: Tile, x: Tensor, side: int, past: CausalPast) -> Tensor:
        tile_past = self._load_past(number, past, x.device)
        y = x.narrow(side, tile.begin, tile.end - tile.begin)
        for block in self.decoder.upsamples:
            y = block(y, tile_past)
        y = self.decoder.head["2"](functional.silu(self.decoder.head["0"](y)), tile_past)
        for layer, name in self._layer_names.items():
            if tile_past.has_frames(layer):
                past.set_frames((number, name), _copy_to_host(tile_past.get_frames(layer)))
        length = (tile.keep_end - tile.keep_begin) * PIXELS_PER_LATENT
        pixels: Tensor = y.narrow(side, (tile.keep_begin - tile.begin) * PIXELS_PER_LATENT, length)
        return pixels

    def _load_past(self, number: int, past: CausalPast, device: torch.device) -> CausalPast:
        """The past of a tile, on the device."""
        layers = {
            layer: past.get_frames((number, name)).to(device, non_blocking=True)
            for layer, name in self._layer_names.items()
            if past.has_frames((number, name))
        }
        return CausalPast(list(layers), list(layers.values()))


def _copy_to_host(frames: Tensor) -> Tensor:
    if frames.device.type == "cpu":
        return frames
    host = allocate_host(frames.shape, frames.dtype, frames.device)
    return host.copy_(frames, non_blocking=True)

# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The autoencoder's decoder in tiles, for small cards: less to work with at a time, and the past in host memory.

What looks at the whole frame comes first and is small; the enlarging that follows only ever looks a few positions
around, so that tiles which overlap by as much (`REACH`) give the frame of the whole. Fewer cost less and change
pixels next to the seams a little: how much is in `benchmarks/results/dit.md`.

Legend: B batch, C channels, T time, H height, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from liveavatar.dit.codecs.vae import PIXELS_PER_LATENT, CausalPast, VAEDecoder

TILE_COUNT = 4
HALO_LATENTS = 6
"""Latents around a tile that are decoded with it and cut off; with so many, no pixel is off by more than a level."""

DECODER_REACH_LATENTS = 13
"""Latents around a pixel that it depends on after the middle of the decoder."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A stretch of the longer side, in latents: what is decoded, and what of it is kept."""

    begin: int
    end: int
    keep_begin: int
    keep_end: int


def split_tiles(length: int, count: int, halo: int) -> list[Tile]:
    """`count` tiles, or fewer if there is not a latent for each."""
    count = min(count, length)
    edges = [length * index // count for index in range(count + 1)]
    return [
        Tile(max(0, first - halo), min(length, last + halo), first, last) for first, last in pairwise(edges)
    ]


class TiledDecoder(nn.Module):
    """Takes the place of a VAE's `decoder`; what tiles remember lies in host memory between latents."""

    def __init__(self, decoder: VAEDecoder, count: int = TILE_COUNT, halo: int = HALO_LATENTS) -> None:
        super().__init__()
        self.decoder = decoder
        self._count = count
        self._halo = halo
        self._past_keys: dict[tuple[int, nn.Module], nn.Module] = {}

    def forward(self, latent_BCTHW: Tensor, past: CausalPast) -> Tensor:
        """Pixels [B, 3, t, 8H, 8W], not yet limited to -1…1."""
        x = self.decoder.conv1(latent_BCTHW, past)
        for block in self.decoder.middle:
            x = block(x, past)
        side = 3 if x.shape[3] > x.shape[4] else 4
        tiles = split_tiles(x.shape[side], self._count, self._halo)
        return torch.cat(
            [self._decode_tile(number, tile, x, side, past) for number, tile in enumerate(tiles)], side
        )

    def forward_pure(
        self, latent_BCTHW: Tensor, layers: Sequence[nn.Module], frames: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """The same as a pure function."""
        past = CausalPast(layers, frames)
        return self(latent_BCTHW, past), past.frames

    def _decode_tile(self, number: int, tile: Tile, x: Tensor, side: int, past: CausalPast) -> Tensor:
        own = self._load_past(number, past, x.device)
        y = x.narrow(side, tile.begin, tile.end - tile.begin)
        for block in self.decoder.upsamples:
            y = block(y, own)
        y = self.decoder.head["2"](functional.silu(self.decoder.head["0"](y)), own)
        for layer, frames in zip(own.layers, own.frames, strict=True):
            past.set_frames(self._past_key(number, layer), _copy_to_host(frames))
        kept = (tile.keep_end - tile.keep_begin) * PIXELS_PER_LATENT
        pixels: Tensor = y.narrow(side, (tile.keep_begin - tile.begin) * PIXELS_PER_LATENT, kept)
        return pixels

    def _load_past(self, number: int, past: CausalPast, device: torch.device) -> CausalPast:
        held = dict(zip(past.layers, past.frames, strict=True))
        layers = [
            layer for layer in chain(self.decoder.upsamples.modules(), self.decoder.head.modules())
            if self._past_key(number, layer) in held
        ]  # fmt: skip
        frames = [held[self._past_key(number, layer)].to(device, non_blocking=True) for layer in layers]
        return CausalPast(layers, frames)

    def _past_key(self, number: int, layer: nn.Module) -> nn.Module:
        """What stands for a layer of a tile in the past of the whole."""
        return self._past_keys.setdefault((number, layer), nn.Identity())


def _copy_to_host(frames: Tensor) -> Tensor:
    if frames.device.type == "cpu":
        return frames
    host = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=frames.is_cuda)
    return host.copy_(frames, non_blocking=True)

# ruff: noqa: N803  (names carry their shape, by the legend below)
"""What the public reference computes from a whole recording on one GPU, for comparison: every number and defect.

It repeats the portrait 5 x 73 times as the past, decodes every clip whole behind that past and encodes the
result again. Offline, all clips are decoded at the end; online, the first one is decoded at once, and its first
latent and its pictures take the portrait's place before the second. The first three pictures are left out.

Shapes: B batch (1), L layers of the audio encoder, C channels, P pictures, T latent frames, H rows, W columns.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from liveavatar.dit.config import StreamConfig
from liveavatar.dit.model import DiT
from liveavatar.dit.pictures import STILL_PICTURES
from liveavatar.dit.scenery import Scene
from liveavatar.dit.stream import LatentStream
from liveavatar.dit.vae import VAE

COPIES = 5
"""The reference repeats the portrait this often, and the result again for the past."""

PAST = COPIES * STILL_PICTURES
"""Pictures before the stream; only the last 73 and what it takes to decode behind them matter."""

DISTANCE = (30, 30)
"""Draws nothing: the reference draws it from an unseeded generator, and its golden results were made with 30."""

LEFT_OUT = 3
"""Pictures missing at the start."""


class ClipDecoder:
    """Decodes clip after clip, each whole behind the pictures before it."""

    def __init__(self, vae: VAE, portrait_BCHW: Tensor, pictures: int, past: int) -> None:
        self._vae = vae
        self._pictures = pictures
        self._shown = portrait_BCHW[:, :, None].expand(-1, -1, past, -1, -1)
        self._past: Tensor | None = None
        self._first = True

    @property
    def past(self) -> Tensor:
        """Latents of the pictures before the next clip."""
        if self._past is None:
            self._past = self._vae.encode(self._shown)
        return self._past

    def decode(self, clip_BCTHW: Tensor) -> Tensor:
        """Its pictures [B, 3, P, H, W] in -1…1; they become the past of the next clip."""
        behind = torch.cat([self.past.to(clip_BCTHW.dtype), clip_BCTHW], dim=2)
        video = self._vae.decode(behind)[:, :, -self._pictures + LEFT_OUT * self._first :]
        self._first = False
        self._shown = torch.cat([self._shown[:, :, video.shape[2] :], video], dim=2)
        self._past = None
        return video


def whole_file(
    dit: DiT,
    vae: VAE,
    portrait_BCHW: Tensor,
    prompt_LD: Tensor,
    features_BLCP: Tensor,
    *,
    config: StreamConfig,
    seed: int,
    online: bool,
    past: int = PAST,
) -> Iterator[Tensor]:
    """Pictures [B, 3, P, H, W] in -1…1 of one clip after the other; `features` are whole clips of columns."""
    pictures = config.clip_blocks * config.block_pictures
    decoder = ClipDecoder(vae, portrait_BCHW, pictures, past)
    text = dit.read(prompt_LD)
    portrait = vae.encode(portrait_BCHW[:, :, None].expand(-1, -1, COPIES, -1, -1))[:, :, 1:]
    height, width = portrait.shape[-2:]
    scene = Scene(text=text, sink=dit.sink(portrait, decoder.past, text), height=height, width=width)
    stream = LatentStream(dit, scene, config, seed)
    waiting: list[Tensor] = []
    for clip, columns in enumerate(torch.split(features_BLCP, pictures, dim=-1)):
        if online and clip == 1:
            first = waiting.pop()
            yield decoder.decode(first)
            stream.set_sink(dit.sink(first[:, :, :1], decoder.past, text))
        waiting.append(draw_clip(stream, clip, columns))
    yield from map(decoder.decode, waiting)


def draw_clip(stream: LatentStream, clip: int, features_BLCP: Tensor) -> Tensor:
    """The latents [B, C, T, H, W] of one clip."""
    config = stream.config
    blocks = []
    for index, columns in enumerate(torch.split(features_BLCP, config.block_pictures, dim=-1)):
        *_, latent = stream.draw(clip * config.clip_blocks + index, columns)
        blocks.append(latent)
    return torch.cat(blocks, dim=2)

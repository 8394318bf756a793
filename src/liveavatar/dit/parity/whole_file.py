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

from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.streaming.conditioning import Conditioning
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.video import STILL_PAST_PICTURES

PORTRAIT_COPIES = 5
"""The reference repeats the portrait this often, and the result again for the past."""

PAST_PICTURES = PORTRAIT_COPIES * STILL_PAST_PICTURES
"""Pictures before the stream; only the last 73 and what it takes to decode behind them matter."""

REFERENCE_SINK_DISTANCE = (30, 30)
"""Draws nothing: the reference draws it from an unseeded generator, and its golden results were made with 30."""

SKIPPED_PICTURES = 3
"""Pictures missing at the start."""


class ClipDecoder:
    """Decodes clip after clip, each whole behind the pictures before it."""

    def __init__(self, vae: VAE, portrait_BCHW: Tensor, clip_pictures: int, past_pictures: int) -> None:
        self._vae = vae
        self._clip_pictures = clip_pictures
        self._past_pictures = portrait_BCHW[:, :, None].expand(-1, -1, past_pictures, -1, -1)
        self._past_latents: Tensor | None = None
        self._is_first = True

    @property
    def past_latents(self) -> Tensor:
        """Latents of the pictures before the next clip."""
        if self._past_latents is None:
            self._past_latents = self._vae.encode(self._past_pictures)
        return self._past_latents

    def decode_clip(self, clip_BCTHW: Tensor) -> Tensor:
        """Its pictures [B, 3, P, H, W] in -1…1; they become the past of the next clip."""
        behind = torch.cat([self.past_latents.to(clip_BCTHW.dtype), clip_BCTHW], dim=2)
        video = self._vae.decode(behind)[:, :, -self._clip_pictures + SKIPPED_PICTURES * self._is_first :]
        self._is_first = False
        self._past_pictures = torch.cat([self._past_pictures[:, :, video.shape[2] :], video], dim=2)
        self._past_latents = None
        return video


def draw_reference_clips(
    dit: DiT,
    vae: VAE,
    portrait_BCHW: Tensor,
    prompt_LD: Tensor,
    features_BLCP: Tensor,
    *,
    config: StreamConfig,
    seed: int,
    online: bool,
    past_pictures: int = PAST_PICTURES,
) -> Iterator[Tensor]:
    """Pictures [B, 3, P, H, W] in -1…1 of one clip after the other; `features` are whole clips of columns."""
    pictures = config.clip_blocks * config.block_pictures
    decoder = ClipDecoder(vae, portrait_BCHW, pictures, past_pictures)
    text = dit.project_text(prompt_LD)
    portrait = vae.encode(portrait_BCHW[:, :, None].expand(-1, -1, PORTRAIT_COPIES, -1, -1))[:, :, 1:]
    height, width = portrait.shape[-2:]
    scene = Conditioning(
        text=text, sink=dit.compute_sink(portrait, decoder.past_latents, text), height=height, width=width
    )
    stream = LatentStream(dit, scene, config, seed)
    waiting: list[Tensor] = []
    for clip, columns in enumerate(torch.split(features_BLCP, pictures, dim=-1)):
        if online and clip == 1:
            first = waiting.pop()
            yield decoder.decode_clip(first)
            stream.set_sink(dit.compute_sink(first[:, :, :1], decoder.past_latents, text))
        waiting.append(draw_clip_latents(stream, clip, columns))
    yield from map(decoder.decode_clip, waiting)


def draw_clip_latents(stream: LatentStream, clip: int, features_BLCP: Tensor) -> Tensor:
    """The latents [B, C, T, H, W] of one clip."""
    config = stream.config
    blocks = []
    for index, columns in enumerate(torch.split(features_BLCP, config.block_pictures, dim=-1)):
        *_, latent = stream.denoise_block(clip * config.clip_blocks + index, columns)
        blocks.append(latent)
    return torch.cat(blocks, dim=2)

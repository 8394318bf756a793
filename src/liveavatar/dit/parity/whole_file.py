# ruff: noqa: N803  (names carry their shape, by the legend below)
"""What the public reference computes from a whole recording on one GPU: every number and defect, for comparison.

It uses the portrait, repeated 5 x 73 times, as the past, decodes every clip as a whole after that past, and encodes the
result again. Offline, all clips are decoded at the end. Online, the first clip is decoded at once, and its first
latent and its pictures replace the portrait before the second. The first three pictures are left out.

Shapes: B batch (1), L layers of the audio encoder, C channels, P pictures, T latent frames, H rows, W columns,
D channels of a text token. `prompt_LD` is [tokens, D].
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import SKIPPED_PICTURES, StreamConfig
from liveavatar.dit.streaming.conditioning import Conditioning
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.video import STILL_PAST_PICTURES

PORTRAIT_COPIES = 5
"""Times that the reference repeats the portrait, and the result again for the past."""

PAST_PICTURES = PORTRAIT_COPIES * STILL_PAST_PICTURES
"""Pictures before the stream; only the last 73 and those it takes to decode after them matter."""

REFERENCE_SINK_DISTANCE = (30, 30)
"""The reference draws it from an unseeded generator; its golden results were made with 30."""


class ClipDecoder:
    """Decodes clip after clip, each as a whole after the pictures before it."""

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
        """Pictures [B, 3, P, H, W] in -1…1 of a clip; they become the past of the next one."""
        with_past = torch.cat([self.past_latents.to(clip_BCTHW.dtype), clip_BCTHW], dim=2)
        skipped = SKIPPED_PICTURES if self._is_first else 0
        video = self._vae.decode(with_past)[:, :, -self._clip_pictures + skipped :]
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
    """Pictures [B, 3, P, H, W] in -1…1, clip by clip; `features_BLCP` are whole clips of columns."""
    clip_pictures = config.clip_blocks * config.block_pictures
    decoder = ClipDecoder(vae, portrait_BCHW, clip_pictures, past_pictures)
    text = dit.project_text(prompt_LD)
    portrait = vae.encode(portrait_BCHW[:, :, None].expand(-1, -1, PORTRAIT_COPIES, -1, -1))[:, :, 1:]
    height, width = portrait.shape[-2:]
    sink = dit.compute_sink(portrait, decoder.past_latents, text)
    conditioning = Conditioning(text=text, sink=sink, height=height, width=width)
    stream = LatentStream(dit, conditioning, config, seed)
    undecoded: list[Tensor] = []
    for clip, columns in enumerate(torch.split(features_BLCP, clip_pictures, dim=-1)):
        if online and clip == 1:
            first = undecoded.pop()
            yield decoder.decode_clip(first)
            stream.set_sink(dit.compute_sink(first[:, :, :1], decoder.past_latents, text))
        undecoded.append(draw_clip_latents(stream, clip, columns))
    yield from map(decoder.decode_clip, undecoded)


def draw_clip_latents(stream: LatentStream, clip: int, features_BLCP: Tensor) -> Tensor:
    """The latents [B, C, T, H, W] of one clip."""
    config = stream.config
    blocks = []
    for index, columns in enumerate(torch.split(features_BLCP, config.block_pictures, dim=-1)):
        *_, latent = stream.denoise_block(clip * config.clip_blocks + index, columns)
        blocks.append(latent)
    return torch.cat(blocks, dim=2)

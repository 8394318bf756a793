# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Pictures of one session, block by block: latents are drawn, and decoded behind the still past.

Shapes: B batch (1), L layers of the audio encoder, C channels, P pictures, T latent frames, H rows, W columns.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liveavatar.dit.cache import MakeMemory, Rings
from liveavatar.dit.config import StreamConfig
from liveavatar.dit.layers import KeyValue
from liveavatar.dit.model import DiT
from liveavatar.dit.packer import HISTORY
from liveavatar.dit.scenery import Scene
from liveavatar.dit.stream import LatentStream
from liveavatar.dit.vae import FRAMES_PER_LATENT, VAE, StreamingDecoder

Pictures = NDArray[np.uint8]
"""[P, height, width, 3], RGB."""

STILL_PICTURES = 1 + FRAMES_PER_LATENT * (HISTORY - 1)
"""Copies of the portrait that make the still past: 73 pictures, 19 latent frames."""

WARM_LATENTS = 7
"""Latent frames of the still past that are decoded, and not shown, before the first block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A portrait ready to move: what all its sessions share. `decoder` has decoded the still past."""

    scene: Scene
    past: Tensor
    decoder: StreamingDecoder


def prepare_still(dit: DiT, vae: VAE, portrait_BCHW: Tensor, prompt_LD: Tensor) -> Still:
    """Encode a portrait, RGB in -1…1, whose sides are multiples of 64, and everything that depends on it alone."""
    picture = portrait_BCHW[:, :, None]
    past = vae.encode(picture.expand(-1, -1, STILL_PICTURES, -1, -1))
    text = dit.read(prompt_LD)
    height, width = past.shape[-2:]
    scene = Scene(text=text, sink=dit.sink(past[:, :, :1], past, text), height=height, width=width)
    decoder = StreamingDecoder(vae)
    decoder.push(past[:, :, :WARM_LATENTS])
    return Still(scene=scene, past=past, decoder=decoder)


class PictureStream:
    """The state of one session. After the first clip its first latent takes the portrait's place in the sink."""

    def __init__(
        self,
        dit: DiT,
        still: Still,
        config: StreamConfig,
        seed: int,
        *,
        adaptive: bool,
        rings: MakeMemory = Rings,
    ) -> None:
        self.config = config
        self._dit = dit
        self._still = still
        self._latents = LatentStream(dit, still.scene, config, seed, rings)
        self._adaptive = adaptive
        self._portrait: Tensor | None = None
        self._drawn = -1
        self._before = self._after = still.decoder

    def draw(
        self, block: int, features_BLCP: Tensor, cancelled: Callable[[], bool] = lambda: False
    ) -> Tensor | None:
        """Pictures [B, 3, P, H, W] in -1…1 of the next block or of the last one again; None if it was cancelled."""
        if block == self.config.clip_blocks and self._adaptive:
            self._latents.set_sink(self._renewed_sink())
        latent = None
        for step in self._latents.draw(block, features_BLCP):
            if cancelled():
                return None
            latent = step
        return None if latent is None else self._decode(block, latent)

    def _renewed_sink(self) -> list[KeyValue]:
        portrait = self._still.past[:, :, :1] if self._portrait is None else self._portrait
        return self._dit.sink(portrait, self._still.past, self._still.scene.text)

    def _decode(self, block: int, latent: Tensor) -> Tensor:
        if block == 0:
            self._portrait = latent[:, :, :1]
        if block != self._drawn:
            self._before, self._drawn = self._after, block
        self._after = self._before.fork()
        return self._after.push(latent)


def as_pictures(video_BCTHW: Tensor, *, rounded: bool = True) -> Pictures:
    """Frames of a video in -1…1 as bytes, rounded or, as the reference does, cut off."""
    levels = (video_BCTHW[0] + 1) * 127.5 + (0.5 if rounded else 0.0)
    pictures: Pictures = levels.clamp(0, 255).to(torch.uint8).permute(1, 2, 3, 0).cpu().numpy()
    return pictures

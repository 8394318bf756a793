# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Tokens of the frames before the stream, coarser for older frames (FramePack, arXiv 2504.12626)."""

import torch
from torch import Tensor, nn

from liveavatar.dit.plan.config import DitConfig

HISTORY_LATENTS = 19
"""Latent frames of the past: 16 coarse, 2 medium, 1 fine."""


class FramePacker(nn.Module):
    """Three strided convolutions, one for each part of the past."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.proj = self._make_conv(config, 1)
        self.proj_2x = self._make_conv(config, 2)
        self.proj_4x = self._make_conv(config, 4)

    @staticmethod
    def _make_conv(config: DitConfig, factor: int) -> nn.Conv3d:
        kernel = (factor, factor * config.patch, factor * config.patch)
        return nn.Conv3d(config.channels, config.dim, kernel, stride=kernel)

    def forward(self, latent_BCTHW: Tensor) -> Tensor:
        """Tokens [B, N, D] of the last 19 latent frames, newest first; missing frames are zero."""
        batch, channels, _, *size = latent_BCTHW.shape
        blank = latent_BCTHW.new_zeros(batch, channels, HISTORY_LATENTS, *size)
        past = torch.cat([blank, latent_BCTHW], dim=2)[:, :, -HISTORY_LATENTS:]
        parts = self.proj(past[:, :, 18:]), self.proj_2x(past[:, :, 16:18]), self.proj_4x(past[:, :, :16])
        return torch.cat([latent_to_tokens(part) for part in parts], dim=1)


def latent_to_tokens(x_BDTHW: Tensor) -> Tensor:
    """[B, D, T, H, W] to [B, T·H·W, D]."""
    return x_BDTHW.flatten(2).transpose(1, 2)

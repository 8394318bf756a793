# ruff: noqa: N803, N806  (names carry their shape, by the legend below)
"""The autoencoder of the small model: one linear map for each place of a picture that shows one head.

8x8 pixels of four frames are one latent of a few channels, and back, by the principal components of that place. The
first frame of a video has a latent of its own, that of a group of four such frames. No layer looks at another place or
at another latent, so decoding in pieces is decoding. It suits pictures that are framed like those it was fitted to.

Shapes: B batch, C channels, T time, H height, W width; L latent channels, P places, V values of a place (768).
Pixels are RGB in -1…1; latents are divided by `scale`, near their spread.
"""

import torch
from torch import Tensor, nn

from liveavatar.dit.codecs.vae import PIXELS_PER_LATENT
from liveavatar.dit.plan.config import PICTURES_PER_LATENT, PlacedConfig
from liveavatar.errors import OptionError

PLACE_VALUES = 3 * PICTURES_PER_LATENT * PIXELS_PER_LATENT**2


class PlacedAutoencoder(nn.Module):
    """Holds weights only: `mean` [P, V]; `basis` [P, V, L] with orthonormal columns, so that its transpose encodes;
    `scale` [P, L]."""

    mean: Tensor
    basis: Tensor
    scale: Tensor

    def __init__(self, config: PlacedConfig) -> None:
        super().__init__()
        self.grid = config.grid
        places, channels = config.grid**2, config.latent_channels
        self.register_buffer("mean", torch.zeros(places, PLACE_VALUES))
        self.register_buffer("basis", torch.zeros(places, PLACE_VALUES, channels))
        self.register_buffer("scale", torch.ones(places, channels))

    @torch.no_grad()
    def encode(self, video_BCTHW: Tensor) -> Tensor:
        """Latents [B, L, 1 + (T-1)//4, H/8, W/8]; frames after the last complete group of four are dropped.

        Raises:
            OptionError: no frame, or a frame of another size than the weights are for.
        """
        side = self.grid * PIXELS_PER_LATENT
        if video_BCTHW.shape[2] < 1 or video_BCTHW.shape[3:] != (side, side):
            raise OptionError(f"a video of shape {tuple(video_BCTHW.shape)} cannot be encoded",
                              f"give at least one frame of {side}x{side}")  # fmt: skip
        first = video_BCTHW[:, :, :1].expand(-1, -1, PICTURES_PER_LATENT, -1, -1)
        groups = (video_BCTHW.shape[2] - 1) // PICTURES_PER_LATENT
        rest = video_BCTHW[:, :, 1 : 1 + groups * PICTURES_PER_LATENT]
        return self.encode_groups(split_places(torch.cat([first, rest], dim=2)))

    def encode_groups(self, values_BTPV: Tensor) -> Tensor:
        """Latents [B, L, T, H/8, W/8] of groups of four frames, by place."""
        latent_BTPL = torch.einsum("btpv,pvl->btpl", values_BTPV.float() - self.mean, self.basis)
        return torch.unflatten((latent_BTPL / self.scale).permute(0, 3, 1, 2), 3, (self.grid, self.grid))

    def decode_groups(self, latent_BLTHW: Tensor) -> Tensor:
        """Frames [B, 3, 4T, 8H, 8W], not clamped; differentiable."""
        latent_BTPL = latent_BLTHW.float().flatten(3).permute(0, 2, 3, 1) * self.scale
        return join_places(torch.einsum("btpl,pvl->btpv", latent_BTPL, self.basis) + self.mean, self.grid)

    def make_decoder(self) -> "PlacedDecoder":
        """A decoder at the start of a video."""
        return PlacedDecoder(self)


class PlacedDecoder:
    """Decodes a video in pieces of any number of latents."""

    def __init__(self, autoencoder: PlacedAutoencoder, *, started: bool = False) -> None:
        self._autoencoder = autoencoder
        self._started = started

    @torch.no_grad()
    def push(self, latent_BLTHW: Tensor) -> Tensor:
        """The next frames [B, 3, n, 8H, 8W] in -1…1; n is 4T, or 4T-3 in the first call."""
        # one at a time, so that the order of summation does not depend on the number of latents
        steps = torch.split(latent_BLTHW, 1, dim=2)
        video = torch.cat([self._autoencoder.decode_groups(step) for step in steps], dim=2).clamp(-1, 1)
        first, self._started = 0 if self._started else PICTURES_PER_LATENT - 1, True
        return video[:, :, first:]

    def fork(self) -> "PlacedDecoder":
        """A decoder that continues from here, independent of this one."""
        return PlacedDecoder(self._autoencoder, started=self._started)


def split_places(video_BCTHW: Tensor) -> Tensor:
    """Groups of four frames by place, [B, T, P, V], of a video [B, 3, 4T, H, W]; values in the order time, row, column,
    colour."""
    B, C, T, H, W = video_BCTHW.shape
    p, n = PIXELS_PER_LATENT, PICTURES_PER_LATENT
    grid = video_BCTHW.reshape(B, C, T // n, n, H // p, p, W // p, p)
    return grid.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(B, T // n, H * W // p**2, -1)


def join_places(values_BTPV: Tensor, grid: int) -> Tensor:
    """The video of which `split_places` made these values."""
    B, T, _, _ = values_BTPV.shape
    p, n = PIXELS_PER_LATENT, PICTURES_PER_LATENT
    parts = values_BTPV.reshape(B, T, grid, grid, n, p, p, 3)
    return parts.permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(B, 3, T * n, grid * p, grid * p)

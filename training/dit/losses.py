# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The loss of flow matching (arXiv 2210.02747), and the noise levels it is learned at.

Shapes: B clips, C channels, T latent frames, H rows, W columns.
"""

import torch
from torch import Tensor

from liveavatar.dit.streaming.scheduler import compute_sigmas, shift_sigma

FEW_STEPS = 4
_LEVEL_SHARES = torch.tensor([0.55, 0.28, 0.17])
"""How often the first three levels of the 4 steps are drawn. What the lips do is decided at 1."""

_LEVELS_SHARE = 0.85
"""Share of clips at one of these levels; the others have any level."""

_SHIFT = 3.0


def add_noise(latent_BCTHW: Tensor, noise_BCTHW: Tensor, sigmas: Tensor) -> Tensor:
    """Latents at noise levels [B]: (1 - sigma) latent + sigma noise."""
    share = sigmas.view(-1, 1, 1, 1, 1)
    return (1 - share) * latent_BCTHW + share * noise_BCTHW


def measure_velocity_error(
    velocity_BCTHW: Tensor, latent_BCTHW: Tensor, noise_BCTHW: Tensor, weight_CHW: Tensor
) -> Tensor:
    """Weighted mean square distance [B] of a velocity to that of the straight path, noise - latent."""
    error = (velocity_BCTHW.float() - (noise_BCTHW - latent_BCTHW)).square()
    return (error * weight_CHW[:, None]).mean(dim=(1, 2, 3, 4))


def draw_sigmas(count: int, random: torch.Generator) -> Tensor:
    """Noise levels [count] for training."""
    uniform = 0.002 + 0.998 * torch.rand(count, generator=random)
    anywhere = torch.tensor([shift_sigma(float(value), _SHIFT) for value in uniform])
    levels = torch.tensor(compute_sigmas(FEW_STEPS, _SHIFT)[: len(_LEVEL_SHARES)])
    chosen = levels[torch.multinomial(_LEVEL_SHARES, count, replacement=True, generator=random)]
    return torch.where(torch.rand(count, generator=random) < _LEVELS_SHARE, chosen, anywhere)


def weigh_places(scale: Tensor, grid: int) -> Tensor:
    """Weights [C, H, W] that make the error of latents that of pixels, and 1 in the mean."""
    weight = scale.square().T.reshape(-1, grid, grid)
    return weight / weight.mean()

"""Flow matching (arXiv 2210.02747): a few Euler steps from noise to a latent, without guidance."""

import torch
from torch import Tensor

TRAIN_STEPS = 1000
"""Timesteps of training: a timestep is 1000·sigma."""


def shift_sigma(sigma: float, shift: float) -> float:
    """A noise level shifted towards more noise: shift·s / (1 + (shift - 1)·s)."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def compute_sigmas(steps: int, shift: float = 3.0) -> list[float]:
    """The steps + 1 noise levels before each step and after the last, from 1 to 0.

    The lowest level before 0 is shifted twice, as in the distillation: the fourth of four steps changes little.
    Levels are rounded to float32, because the last digit of 1000 times a level changes the output.
    """
    lowest = shift_sigma(1 / TRAIN_STEPS, shift)
    spread = [1 + (lowest - 1) * step / max(1, steps - 1) for step in range(steps)]
    levels = torch.tensor([*(shift_sigma(sigma, shift) for sigma in spread), 0.0], dtype=torch.float32)
    return levels.tolist()


def euler_step(latent: Tensor, velocity: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """One Euler step, computed in float32 and rounded to the type of `latent`."""
    return (latent.float() + (next_sigma - sigma) * velocity.float()).to(latent.dtype)


def clip_noise(clip: int, seed: int, size: tuple[int, ...], like: Tensor) -> Tensor:
    """Normal noise of clip number `clip`, of `size`, in the type and on the device of `like`."""
    generator = torch.Generator(like.device).manual_seed(seed + clip)
    return torch.randn(size, generator=generator, dtype=like.dtype, device=like.device)

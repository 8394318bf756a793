"""Flow matching: noise becomes a picture along a straight line, in a few Euler steps, without guidance."""

import torch
from torch import Tensor

TRAIN_STEPS = 1000


def shift_sigma(sigma: float, shift: float) -> float:
    """A noise level moved towards more noise: shift·s / (1 + (shift - 1)·s)."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def compute_sigmas(steps: int, shift: float = 3.0) -> list[float]:
    """Noise levels before each step and after the last one, steps + 1 of them, 1 first and 0 last.

    The lowest level is shifted twice, as the model was distilled: the fourth of four steps hardly moves.
    They are float32 numbers, since the model feels the last digit of 1000 times such a level.
    """
    lowest = shift_sigma(1 / TRAIN_STEPS, shift)
    spread = [1 + (lowest - 1) * step / max(1, steps - 1) for step in range(steps)]
    levels = torch.tensor([*(shift_sigma(sigma, shift) for sigma in spread), 0.0], dtype=torch.float32)
    return levels.tolist()


def euler_step(latent: Tensor, velocity: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """One step down, computed in float32 and rounded to the type of `latent`."""
    return (latent.float() + (next_sigma - sigma) * velocity.float()).to(latent.dtype)


def clip_noise(clip: int, seed: int, size: tuple[int, ...], like: Tensor) -> Tensor:
    """The noise of clip number `clip`: `size`, in the type and on the device of `like`."""
    generator = torch.Generator(like.device).manual_seed(seed + clip)
    return torch.randn(size, generator=generator, dtype=like.dtype, device=like.device)

from itertools import pairwise

import pytest
import torch

from liveavatar.dit.streaming.scheduler import clip_noise, compute_sigmas, euler_step
from small_dit import golden, max_error

GOLDEN = golden("scheduler")


@pytest.mark.parametrize("steps", [2, 3, 4, 5, 8])
def test_noise_levels_are_those_of_the_reference(steps: int) -> None:
    levels = torch.tensor(compute_sigmas(steps))
    assert max_error(levels, GOLDEN[f"sigmas{steps}"]) < 1e-7
    assert max_error(1000 * levels[:-1], GOLDEN[f"timesteps{steps}"]) < 1e-4


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 40, 1000])
def test_any_number_of_steps_goes_from_1_to_0(steps: int) -> None:
    levels = compute_sigmas(steps)
    assert len(levels) == steps + 1
    assert (levels[0], levels[-1]) == (1.0, 0.0)
    assert all(a > b for a, b in pairwise(levels))


def test_steps_are_those_of_the_reference() -> None:
    levels = compute_sigmas(4)
    for step in range(4):
        latent = euler_step(GOLDEN[f"step_x{step}"], GOLDEN[f"step_v{step}"], levels[step], levels[step + 1])
        assert max_error(latent, GOLDEN[f"step_x{step + 1}"]) < 1e-6


def test_a_step_keeps_the_type_of_the_latent() -> None:
    latent = torch.ones(2, dtype=torch.bfloat16)
    assert euler_step(latent, torch.ones(2), 1.0, 0.5).dtype is torch.bfloat16


def test_every_clip_has_its_own_noise_from_the_seed() -> None:
    like = torch.zeros(0)
    first, again, next_clip = (clip_noise(clip, 420, (16, 3, 8, 16), like) for clip in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, next_clip)
    assert torch.equal(next_clip, clip_noise(0, 421, (16, 3, 8, 16), like))

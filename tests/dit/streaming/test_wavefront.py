from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.streaming.host_kv_cache import HostKVCache
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.kv_ops import FP8_DTYPE
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.wavefront import WavefrontStream
from liveavatar.errors import OptionError
from small_dit import small_dit
from small_stream import BLOCKS, SMALL, distance, heard, small_scene

APART: MakeKVCache = partial(RingKVCache, steps_per_sink=1)
RENEWED = 3
"""The block from which another sink is seen."""


@pytest.fixture(scope="module")
def dit() -> DiT:
    return small_dit()


def one_after_the_other(dit: DiT, config: StreamConfig, blocks: int = BLOCKS) -> list[Tensor]:
    stream = LatentStream(dit, small_scene(dit), config, 0)
    latents = []
    for block in range(blocks):
        if block == RENEWED:
            stream.set_sink(small_scene(dit, seed=9).sink)
        latents.append(list(stream.denoise_block(block, heard(block)))[-1])
    return latents


def at_once(dit: DiT, config: StreamConfig, blocks: int = BLOCKS, rings: MakeKVCache = APART) -> list[Tensor]:
    wave = WavefrontStream(dit, small_scene(dit), config, 0, rings)
    latents = []
    for block in range(blocks):
        if block == RENEWED:
            wave.set_sink(small_scene(dit, seed=9).sink)
        latents.append(wave.push(heard(block)))
    assert [latent is None for latent in latents] == [block < config.steps - 1 for block in range(blocks)]
    return [latent for latent in latents if latent is not None] + list(wave.flush())


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("clip_blocks", [1, 2, 4])
def test_blocks_drawn_at_once_are_those_drawn_one_after_the_other(
    dit: DiT, steps: int, clip_blocks: int
) -> None:
    config = replace(SMALL, steps=steps, clip_blocks=clip_blocks)
    for made, expected in zip(at_once(dit, config), one_after_the_other(dit, config), strict=True):
        torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)


def test_a_recording_shorter_than_the_wave_is_drawn_whole(dit: DiT) -> None:
    made = at_once(dit, replace(SMALL, steps=4), blocks=2)
    assert distance(made, one_after_the_other(dit, replace(SMALL, steps=4), blocks=2)) < 1e-6


def test_in_bfloat16_the_difference_is_less_than_its_own_rounding(dit: DiT) -> None:
    exact, half = one_after_the_other(dit, SMALL), small_dit().bfloat16()
    rounding = distance(one_after_the_other(half, SMALL), exact)
    assert distance(at_once(half, SMALL), one_after_the_other(half, SMALL)) < rounding < 0.01


def test_rings_may_be_in_fp8(dit: DiT) -> None:
    made = at_once(dit, SMALL, rings=partial(RingKVCache, storage_dtype=FP8_DTYPE, steps_per_sink=1))
    assert 0 < distance(made, one_after_the_other(dit, SMALL)) < 0.02


def test_a_wave_that_begins_anew_remembers_nothing(dit: DiT) -> None:
    used, new = (WavefrontStream(dit, small_scene(dit), SMALL, 0, APART) for _ in range(2))
    for block in range(4):
        used.push(heard(block))
    for wave in (used, new):
        wave.restart_at(2)
    for block in (2, 3):
        used.push(heard(block))
        new.push(heard(block))
    assert distance(list(used.flush()), list(new.flush())) < 1e-6


def test_rings_in_host_memory_are_refused(dit: DiT) -> None:
    with pytest.raises(OptionError, match="rings"):
        WavefrontStream(dit, small_scene(dit), SMALL, 0, HostKVCache)

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from liveavatar.dit.loader import open_models
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.kv_ops import FP8_DTYPE
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.wavefront import WavefrontStream
from liveavatar.errors import OptionError
from small_dit import small_dit
from small_stream import BLOCKS, SMALL, block_features, relative_error, small_conditioning

OWN_SINKS: MakeKVCache = partial(RingKVCache, steps_per_sink=1)
RENEWED = 3
"""The first block with another sink."""


@pytest.fixture(scope="module")
def dit() -> DiT:
    return small_dit()


def run_sequentially(dit: DiT, config: StreamConfig, blocks: int = BLOCKS) -> list[Tensor]:
    stream = LatentStream(dit, small_conditioning(dit), config, 0)
    latents = []
    for block in range(blocks):
        if block == RENEWED:
            stream.set_sink(small_conditioning(dit, seed=9).sink)
        latents.append(list(stream.denoise_block(block, block_features(block)))[-1])
    return latents


def run_wavefront(
    dit: DiT, config: StreamConfig, blocks: int = BLOCKS, make_cache: MakeKVCache = OWN_SINKS
) -> list[Tensor]:
    stream = WavefrontStream(dit, small_conditioning(dit), config, 0, make_cache)
    latents = []
    for block in range(blocks):
        if block == RENEWED:
            stream.set_sink(small_conditioning(dit, seed=9).sink)
        latents.append(stream.push(block_features(block)))
    assert [latent is None for latent in latents] == [block < config.steps - 1 for block in range(blocks)]
    return [latent for latent in latents if latent is not None] + list(stream.flush())


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("clip_blocks", [1, 2, 4])
def test_the_wavefront_gives_the_latents_of_the_sequential_stream(
    dit: DiT, steps: int, clip_blocks: int
) -> None:
    config = replace(SMALL, steps=steps, clip_blocks=clip_blocks)
    for actual, expected in zip(run_wavefront(dit, config), run_sequentially(dit, config), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_a_recording_may_be_shorter_than_the_wavefront(dit: DiT) -> None:
    latents = run_wavefront(dit, replace(SMALL, steps=4), blocks=2)
    assert relative_error(latents, run_sequentially(dit, replace(SMALL, steps=4), blocks=2)) < 1e-6


@pytest.mark.slow
def test_in_bfloat16_the_difference_is_less_than_the_rounding(dit: DiT) -> None:
    exact, half = run_sequentially(dit, SMALL), small_dit().bfloat16()
    rounding = relative_error(run_sequentially(half, SMALL), exact)
    assert relative_error(run_wavefront(half, SMALL), run_sequentially(half, SMALL)) < rounding < 0.01


def test_the_cache_may_be_in_fp8(dit: DiT) -> None:
    latents = run_wavefront(
        dit, SMALL, make_cache=partial(RingKVCache, storage_dtype=FP8_DTYPE, steps_per_sink=1)
    )
    assert 0 < relative_error(latents, run_sequentially(dit, SMALL)) < 0.02


def test_a_restart_forgets_earlier_blocks(dit: DiT) -> None:
    used, new = (WavefrontStream(dit, small_conditioning(dit), SMALL, 0, OWN_SINKS) for _ in range(2))
    for block in range(4):
        used.push(block_features(block))
    for stream in (used, new):
        stream.restart_at(2)
    for block in (2, 3):
        used.push(block_features(block))
        new.push(block_features(block))
    assert relative_error(list(used.flush()), list(new.flush())) < 1e-6


@pytest.mark.slow
def test_a_cache_in_host_memory_is_refused() -> None:
    options = DitOptions(preset="tiny", memory="24", speed="wavefront", live=False)
    with pytest.raises(OptionError, match="wavefront"):
        open_models(options)

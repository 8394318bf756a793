"""Functions are traced as they would be, and then computed one by one: the real compiler takes minutes."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from drawn import SEEDS, draw_into
from liveavatar.dit.codecs.vae import VAE, StreamingDecoder
from liveavatar.dit.performance.compile import compile_model, compile_vae, make_cache_factory
from liveavatar.dit.performance.fuse_qkv import fuse_qkv
from liveavatar.dit.plan.config import VAEConfig
from liveavatar.dit.plan.speed import EXACT_SPEED, KVFormat
from small_dit import small_dit
from small_stream import relative_error, run_stream


@pytest.fixture(autouse=True)
def _forget() -> None:
    torch._dynamo.reset()


@pytest.mark.slow
def test_all_layers_share_one_compiled_graph_a_function() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    plain, dit = small_dit(), small_dit()
    fuse_qkv(plain)
    fuse_qkv(dit)
    compile_model(dit, counter)
    expected = run_stream(plain)
    actual = run_stream(dit)
    assert relative_error(actual, expected) < 1e-6
    # three functions of a block for the sink and the block, two of an injector for the block
    assert counter.frame_count == 3 * 2 + 2


@pytest.mark.parametrize("kv", get_args(KVFormat))
def test_a_compiled_cache_gives_the_same_latents(kv: KVFormat) -> None:
    plain, fast = (
        run_stream(
            small_dit(),
            make_cache=make_cache_factory(replace(EXACT_SPEED, compile=on, kv=kv), backend="aot_eager"),
        )
        for on in (False, True)
    )
    assert relative_error(fast, plain) < 1e-6


def test_the_exact_speed_has_a_plain_cache() -> None:
    exact = run_stream(small_dit(), make_cache=make_cache_factory(EXACT_SPEED))
    assert torch.equal(torch.cat(run_stream(small_dit())), torch.cat(exact))


def vae() -> VAE:
    model = VAE(VAEConfig(width=6))
    draw_into(model, SEEDS["vae"])
    return model.requires_grad_(False)


@pytest.mark.slow
def test_a_compiled_decoder_gives_the_same_frames_piece_by_piece() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    plain, fast = vae(), vae()
    compile_vae(fast, counter)
    latent = torch.randn(1, 16, 7, 4, 4, generator=torch.Generator().manual_seed(6))
    whole = fast.decode(latent)
    assert float((whole - plain.decode(latent)).abs().max()) < 2e-5
    decoder = StreamingDecoder(fast)
    pieces = [decoder.push(piece) for piece in torch.split(latent, [3, 3, 1], dim=2)]
    assert torch.equal(torch.cat(pieces, dim=2), whole)
    assert counter.frame_count == 1


def test_the_weights_of_the_decoder_are_channels_last() -> None:
    fast = vae()
    compile_vae(fast, "eager")
    for layer in fast.decoder.modules():
        if isinstance(layer, nn.Conv3d):
            assert layer.weight.is_contiguous(memory_format=torch.channels_last_3d)

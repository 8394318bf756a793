"""The kernel that is chosen computes every attention of the transformer, and no other does."""

from collections import Counter
from itertools import islice

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from drawn import SEEDS, draw_into
from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.loader import accelerate_models, open_models
from liveavatar.dit.model.attention import torch_attention
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.parity.whole_file import draw_reference_clips
from liveavatar.dit.performance.kernels import cudnn_attention
from liveavatar.dit.plan.config import StreamConfig, VAEConfig
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.speed import SpeedOptions
from liveavatar.dit.streaming.host_kv_cache import HostKVCache
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.latents import LatentStream
from small_dit import golden, small_dit
from small_stream import SMALL, block_features, small_conditioning

STEPS = 3
SINK_TOKENS, BLOCK_TOKENS, FRAME_TOKENS = 40, 48, 16
"""Of 8x8 latents: 4x4 patches."""


class KernelSpy:
    """Attention by its definition, which counts its calls by the number of keys."""

    def __init__(self) -> None:
        self.calls: Counter[int] = Counter()

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.calls[k.shape[1]] += 1
        scores = torch.einsum("bnhd,bshd->bhns", q, k) / q.shape[-1] ** 0.5
        return torch.einsum("bhns,bshd->bnhd", scores.softmax(dim=-1), v)


@pytest.fixture
def dit() -> DiT:
    model = small_dit()
    model.attention_kernel = KernelSpy()
    return model


@pytest.fixture
def torch_calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Shapes of the queries [B, H, N, D] that PyTorch's own attention is called with."""
    shapes: list[torch.Size] = []
    original = functional.scaled_dot_product_attention

    def record(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        shapes.append(q.shape)
        return original(q, k, v)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", record)
    return shapes


def calls(dit: DiT) -> Counter[int]:
    assert isinstance(dit.attention_kernel, KernelSpy)
    return dit.attention_kernel.calls


def test_the_sink_attends_by_the_chosen_kernel(dit: DiT, torch_calls: list[torch.Size]) -> None:
    small_conditioning(dit)
    assert calls(dit) == {SINK_TOKENS: dit.config.layers, dit.config.text_len: dit.config.layers}
    assert not torch_calls


@pytest.mark.parametrize("make_cache", [RingKVCache, HostKVCache])
def test_self_and_cross_attention_use_the_chosen_kernel(
    dit: DiT, torch_calls: list[torch.Size], make_cache: MakeKVCache
) -> None:
    conditioning = small_conditioning(dit)
    calls(dit).clear()
    list(LatentStream(dit, conditioning, SMALL, 0, make_cache).denoise_block(0, block_features(0)))
    config = dit.config
    assert calls(dit) == {
        SINK_TOKENS + BLOCK_TOKENS: STEPS * config.layers,
        config.text_len: STEPS * config.layers,
        config.audio_tokens + 1: STEPS * len(config.inject),
    }
    assert not torch_calls


@pytest.mark.slow
def test_parity_uses_the_chosen_kernel(dit: DiT, torch_calls: list[torch.Size]) -> None:
    vae = VAE(VAEConfig(width=6))
    draw_into(vae, SEEDS["vae"])
    data, portrait = golden("e2e_offline"), torch.zeros(1, 3, 64, 64)
    config = StreamConfig(steps=1, clip_blocks=1)
    clips = draw_reference_clips(
        dit, vae.requires_grad_(False), portrait, data["context"], data["audio_emb"],
        config=config, seed=0, online=True, past_pictures=73,
    )  # fmt: skip
    list(islice(clips, 1))
    assert calls(dit)[dit.config.text_len] > 0
    assert calls(dit)[dit.config.audio_tokens + 1] > 0
    assert calls(dit)[SINK_TOKENS + BLOCK_TOKENS] > 0
    assert {heads for _, heads, *_ in torch_calls} == {1}  # the autoencoder's, which has one head


@pytest.mark.slow
def test_the_loader_gives_the_transformer_the_kernel_that_is_asked_for() -> None:
    models = open_models(DitOptions(preset="tiny"))
    assert models.dit.attention_kernel is torch_attention
    speed = SpeedOptions(attention="cudnn", compile=False)
    assert accelerate_models(models, speed, torch.device("cuda")).dit.attention_kernel is cudnn_attention

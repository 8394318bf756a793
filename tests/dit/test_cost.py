"""The real sizes, counted without memory or numbers: what a step costs is what the cost model says."""

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from liveavatar.dit.codecs.vae import VAE, CausalPast
from liveavatar.dit.model.audio_injector import AudioConditioning
from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import Rope
from liveavatar.dit.model.transformer import BlockInputs, DiT, TimeModulation
from liveavatar.dit.plan.config import DitConfig, StreamConfig, VAEConfig
from liveavatar.dit.streaming.conditioning import Conditioning, StreamContext
from liveavatar.dit.streaming.kv_cache import RingKVCache

TERA = 1e12
META = torch.device("meta")


def nothing(*shape: int) -> Tensor:
    return torch.empty(shape, device=META, dtype=torch.bfloat16)


def given(config: DitConfig, tokens: int) -> BlockInputs:
    heads, width = config.heads, config.head_dim
    text = KeyValue(*(nothing(1, config.text_len, heads, width) for _ in "kv"))
    heard = KeyValue(
        nothing(3, config.audio_tokens + 1, heads, width), nothing(3, config.audio_tokens + 1, heads, width)
    )
    hearing = AudioConditioning(nothing(1, 3, 1, config.dim), nothing(1, 3, 1, config.dim), heard)
    turning = Rope(nothing(1, tokens, width // 2).float(), nothing(1, tokens, width // 2).float())
    return BlockInputs(text=[text] * config.layers, rope=turning, audio=[hearing] * len(config.inject))


def step(height: int, width: int) -> tuple[float, float]:
    """TFLOP of linear layers and of attention in one denoising step once the ring is full."""
    with META:
        model = DiT(DitConfig()).bfloat16()
    config = model.config
    sink = KeyValue(
        *(nothing(1, height // 16 * width // 16 * 5 // 2, config.heads, config.head_dim) for _ in "kv")
    )
    scene = Conditioning(text=[], sink=[sink], height=height // 8, width=width // 8)
    shape = StreamContext(model, scene, StreamConfig(steps=1), 0).ring_shape
    rings = RingKVCache(shape, model.template_tensor)
    time = TimeModulation(nothing(config.layers, 6, 1, config.dim).float(), nothing(2, 1, config.dim).float())
    counter = FlopCounterMode(display=False)
    with counter:
        model(
            nothing(1, 16, 3, height // 8, width // 8),
            time,
            given(config, shape.block_tokens),
            rings.prepare_layers(0, 3),
        )
    counts = counter.get_flop_counts()["Global"]
    attention = sum(count for kind, count in counts.items() if "bmm" in str(kind) or "attention" in str(kind))
    return (sum(counts.values()) - attention) / TERA, attention / TERA


@pytest.mark.slow
def test_a_step_costs_what_the_model_says() -> None:
    """123.0 TFLOP, less 2.2 for the text's own keys and values, which are computed once a prompt here."""
    linear, attention = step(384, 704)
    assert linear == pytest.approx(81.9 - 2.2, rel=0.005)
    assert attention == pytest.approx(41.1, rel=0.005)


def test_decoding_a_latent_costs_what_the_model_says() -> None:
    with META:
        vae = VAE(VAEConfig()).bfloat16()
    latent, past = nothing(1, 16, 1, 48, 88), CausalPast()
    for _ in range(2):
        vae.decoder(latent, past)
    counter = FlopCounterMode(display=False)
    with counter:
        vae.decoder(latent, past)
    assert counter.get_total_flops() / TERA == pytest.approx(9.16, rel=0.02)

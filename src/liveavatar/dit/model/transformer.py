# ruff: noqa: N803, N806  (names carry their shape, by the legend below)
"""The transformer: one pass for a block of latent frames, one for the sink, and what is computed only once.

Shapes: B batch (1), C latent channels, T latent frames, H rows, W columns of the latent, N tokens, D channels,
L text tokens, A voices, P pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from liveavatar.dit.model.attention import AttentionKernel, torch_attention
from liveavatar.dit.model.audio_injector import AudioConditioning, AudioInjector, CausalAudioEncoder
from liveavatar.dit.model.frame_packer import FramePacker, latent_to_tokens
from liveavatar.dit.model.layers import (
    KeyValue,
    LayerCache,
    SinkRecorder,
    TransformerBlock,
    VelocityHead,
    linear_float32,
)
from liveavatar.dit.model.rope import (
    REFERENCE_FRAME,
    Rope,
    TokenPositions,
    compute_token_rope,
    sink_positions,
)
from liveavatar.dit.plan.config import DitConfig

NOISY_TOKEN, REFERENCE_TOKEN, MOTION_TOKEN = range(3)
"""Kinds of tokens, each with its learned mark."""


@dataclass(frozen=True, slots=True)
class TimeModulation:
    """What a noise level does: modulation of every block [layers, 6, B, D] and of the head [2, B, D], float32."""

    blocks: Tensor
    head: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockInputs:
    """What a block is drawn from besides noise: the text, its place, what is said, by whom, and in what pose.

    `hearing` has one entry for each injector, none when nothing is heard; `mask` [A, N] is which tokens each voice
    reaches; `pose` is a latent [B, C, T, H, W].
    """

    text: Sequence[KeyValue]
    rope: Rope
    audio: Sequence[AudioConditioning]
    voice_mask: Tensor | None = None
    pose: Tensor | None = None


class DiT(nn.Module):
    """Wan2.2-S2V with the causal memory of Live Avatar (arXiv 2512.04677). Holds weights and no state."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.config = config
        self.attention_kernel: AttentionKernel = torch_attention
        dim, patch = config.dim, (1, config.patch, config.patch)
        self.patch_embedding = nn.Conv3d(config.channels, dim, patch, stride=patch)
        self.cond_encoder = nn.Conv3d(config.channels, dim, patch, stride=patch)
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.layers))
        self.head = VelocityHead(config)
        self.casual_audio_encoder = CausalAudioEncoder(config)  # the checkpoint's own spelling
        self.audio_injector = AudioInjector(config)
        self.trainable_cond_mask = nn.Embedding(3, dim)
        self.frame_packer = FramePacker(config)

    @property
    def template_tensor(self) -> Tensor:
        """A tensor of the type and on the device that the model computes with."""
        return self.patch_embedding.weight

    def forward(
        self,
        latent_BCTHW: Tensor,
        modulation: TimeModulation,
        inputs: BlockInputs,
        caches: Sequence[LayerCache],
    ) -> Tensor:
        """Velocity of a noisy block, [B, C, T, H, W] float32; writes the block's keys and values into `memory`."""
        injectors = {layer: index for index, layer in enumerate(self.config.inject)} if inputs.audio else {}
        x_BND, kernel = self.embed_block(latent_BCTHW, inputs.pose), self.attention_kernel
        for layer, block in enumerate(self.blocks):
            x_BND = block(
                x_BND, modulation.blocks[layer], inputs.text[layer], inputs.rope, caches[layer], kernel
            )
            if (index := injectors.get(layer)) is not None:
                x_BND = self.audio_injector(index, x_BND, inputs.audio[index], inputs.voice_mask, kernel)
        return self.unpatchify_latent(self.head(x_BND, modulation.head), latent_BCTHW.shape)

    def compute_sink(
        self, portrait_BC1HW: Tensor, past_BCTHW: Tensor, text: Sequence[KeyValue]
    ) -> list[KeyValue]:
        """Keys, not turned, and values of the portrait and the past before the stream, for every layer."""
        rows, columns = (side // self.config.patch for side in portrait_BC1HW.shape[-2:])
        rope = self.compute_rope(sink_positions(REFERENCE_FRAME, rows, columns))
        marks = self.trainable_cond_mask.weight
        portrait = (
            latent_to_tokens(self.patch_embedding(portrait_BC1HW.to(self.template_tensor)))
            + marks[REFERENCE_TOKEN]
        )
        past = self.frame_packer(past_BCTHW.to(self.template_tensor)) + marks[MOTION_TOKEN]
        x_BND = torch.cat([portrait, past], dim=1)
        clean, still = self.compute_modulations([0.0])[0], rope.to_identity()
        kernel = self.attention_kernel
        layers = [SinkRecorder(rope, kernel) for _ in self.blocks]
        for layer, block in enumerate(self.blocks):
            x_BND = block(x_BND, clean.blocks[layer], text[layer], still, layers[layer], kernel)
        return [layer.key_value for layer in layers]

    def embed_block(self, latent_BCTHW: Tensor, pose_BCTHW: Tensor | None) -> Tensor:
        """Tokens [B, N, D] of a noisy block."""
        # without a pose its encoder would see zeros, and give its bias
        blank = cast(Tensor, self.cond_encoder.bias)
        pose = blank if pose_BCTHW is None else latent_to_tokens(self.cond_encoder(pose_BCTHW))
        return (
            latent_to_tokens(self.patch_embedding(latent_BCTHW))
            + pose
            + self.trainable_cond_mask.weight[NOISY_TOKEN]
        )

    def unpatchify_latent(self, x_BNE: Tensor, shape: torch.Size) -> Tensor:
        """Patches put back in their places: `shape` is [B, C, T, H, W]."""
        batch, channels, frames, height, width = shape
        patch = self.config.patch
        grid = x_BNE.view(batch, frames, height // patch, width // patch, patch, patch, channels)
        return grid.permute(0, 6, 1, 2, 4, 3, 5).reshape(shape)

    def compute_modulations(self, timesteps: Sequence[float]) -> list[TimeModulation]:
        """What each noise level (1000·sigma) does to every block and to the head."""
        waves = sinusoidal_embedding(torch.tensor(timesteps, dtype=torch.float32), self.config.freq_dim)
        first, second = cast(nn.Linear, self.time_embedding[0]), cast(nn.Linear, self.time_embedding[2])
        projection = cast(nn.Linear, self.time_projection[1])
        level = linear_float32(second, functional.silu(linear_float32(first, waves.to(first.weight.device))))
        changes = torch.unflatten(linear_float32(projection, functional.silu(level)), -1, (6, -1))
        own = torch.cat([cast(TransformerBlock, block).modulation for block in self.blocks]).float()
        head = self.head.modulation[0].float()
        return [
            TimeModulation((own + change)[:, :, None], (head + e)[:, None])
            for change, e in zip(changes, level, strict=True)
        ]

    def compute_rope(self, positions: TokenPositions) -> Rope:
        """Turning angles for the heads of this model, on its device."""
        return compute_token_rope(positions, self.config.head_dim, self.template_tensor.device)

    def project_text(self, prompt_LD: Tensor) -> list[KeyValue]:
        """Keys and values of a prompt for every block; what is beyond `text_len` tokens is not read."""
        padded = functional.pad(prompt_LD, (0, 0, 0, self.config.text_len - len(prompt_LD)))
        text_BLD = self.text_embedding(padded[None].to(self.template_tensor))
        return [cast(TransformerBlock, block).cross_attn.project_key_value(text_BLD) for block in self.blocks]

    def encode_audio_block(self, features_ALCP: Tensor) -> list[AudioConditioning]:
        """What every injector needs of one block of audio features, computed once for all denoising steps."""
        tokens = self.casual_audio_encoder.encode_block(features_ALCP.to(self.template_tensor))
        return self.audio_injector.prepare_conditioning(tokens)


def sinusoidal_embedding(timesteps: Tensor, width: int) -> Tensor:
    """Sinusoids [timesteps, width] of float32 noise levels, cosines first; angles in float64."""
    half = width // 2
    rates = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = timesteps.double()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1).float()

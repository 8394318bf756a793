# ruff: noqa: N803, N806  (names carry their shape, by the legend below)
"""The transformer of Live Avatar: Wan2.2-S2V with a causal KV cache (arXiv 2512.04677).

`forward` predicts the velocity of one block of latent frames. `compute_sink` gives the keys and values of the portrait
and the past before the stream. The other methods compute what does not change between denoising steps.

Shapes: B batch (1), C latent channels, T latent frames, H rows, W columns of the latent, N tokens, D channels,
E patch²·channels, L text tokens or layers of the audio encoder, A voices, P pictures.
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
    sinusoidal_embedding,
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
"""Kinds of tokens: rows of the learned embedding that is added to them."""


@dataclass(frozen=True, slots=True)
class TimeModulation:
    """Modulation by a noise level: of every block [layers, 6, B, D] and of the head [2, B, D], float32."""

    blocks: Tensor
    head: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockInputs:
    """What a block is conditioned on.

    Attributes:
        text: keys and values of the prompt for every layer.
        rope: rotation angles of the block's tokens.
        audio: one entry for each injector; empty for no audio.
        voice_mask: [A, N], the tokens that each voice reaches; None is all.
        pose: latent [B, C, T, H, W] of a pose video.
    """

    text: Sequence[KeyValue]
    rope: Rope
    audio: Sequence[AudioConditioning]
    voice_mask: Tensor | None = None
    pose: Tensor | None = None


class DiT(nn.Module):
    """The network. Holds weights and no state; `attention_kernel` computes every attention and is set from outside."""

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
        self.casual_audio_encoder = CausalAudioEncoder(config)  # spelt as in the checkpoint
        self.audio_injector = AudioInjector(config)
        self.trainable_cond_mask = nn.Embedding(3, dim)
        self.frame_packer = FramePacker(config)

    def forward(
        self,
        latent_BCTHW: Tensor,
        modulation: TimeModulation,
        inputs: BlockInputs,
        caches: Sequence[LayerCache],
    ) -> Tensor:
        """Velocity of a noisy block, [B, C, T, H, W] float32; writes the block's keys and values to `caches`."""
        injectors = {layer: index for index, layer in enumerate(self.config.inject)} if inputs.audio else {}
        kernel, x_BND = self.attention_kernel, self.embed_block(latent_BCTHW, inputs.pose)
        for layer, block in enumerate(self.blocks):
            x_BND = block(
                x_BND, modulation.blocks[layer], inputs.text[layer], inputs.rope, caches[layer], kernel
            )
            if (index := injectors.get(layer)) is not None:
                x_BND = self.audio_injector(index, x_BND, inputs.audio[index], inputs.voice_mask, kernel)
        return self.unpatchify_latent(self.head(x_BND, modulation.head), latent_BCTHW.shape)

    def embed_block(self, latent_BCTHW: Tensor, pose_BCTHW: Tensor | None) -> Tensor:
        """Tokens [B, N, D] of a noisy block."""
        tokens = latent_to_tokens(self.patch_embedding(latent_BCTHW))
        # without a pose its encoder's input is zero, and its output the bias
        bias = cast(Tensor, self.cond_encoder.bias)
        pose = bias if pose_BCTHW is None else latent_to_tokens(self.cond_encoder(pose_BCTHW))
        return tokens + pose + self.trainable_cond_mask.weight[NOISY_TOKEN]

    def unpatchify_latent(self, x_BNE: Tensor, shape: torch.Size) -> Tensor:
        """Patches to a latent of `shape`, [B, C, T, H, W]."""
        batch, channels, frames, height, width = shape
        patch = self.config.patch
        grid = x_BNE.view(batch, frames, height // patch, width // patch, patch, patch, channels)
        return grid.permute(0, 6, 1, 2, 4, 3, 5).reshape(shape)

    def compute_sink(
        self, portrait_BC1HW: Tensor, past_BCTHW: Tensor, text: Sequence[KeyValue]
    ) -> list[KeyValue]:
        """Keys, not rotated, and values of the portrait and the past before the stream, for every layer."""
        like, kinds = self.template_tensor, self.trainable_cond_mask.weight
        portrait = latent_to_tokens(self.patch_embedding(portrait_BC1HW.to(like))) + kinds[REFERENCE_TOKEN]
        past = self.frame_packer(past_BCTHW.to(like)) + kinds[MOTION_TOKEN]
        x_BND = torch.cat([portrait, past], dim=1)
        rows, columns = (side // self.config.patch for side in portrait_BC1HW.shape[-2:])
        rope = self.compute_rope(sink_positions(REFERENCE_FRAME, rows, columns))
        clean, unrotated, kernel = (
            self.compute_modulations([0.0])[0],
            rope.to_identity(),
            self.attention_kernel,
        )
        recorders = [SinkRecorder(rope, kernel) for _ in self.blocks]
        for layer, block in enumerate(self.blocks):
            x_BND = block(x_BND, clean.blocks[layer], text[layer], unrotated, recorders[layer], kernel)
        return [recorder.key_value for recorder in recorders]

    def compute_modulations(self, timesteps: Sequence[float]) -> list[TimeModulation]:
        """The modulation by each noise level (1000·sigma)."""
        first, second = cast(nn.Linear, self.time_embedding[0]), cast(nn.Linear, self.time_embedding[2])
        projection = cast(nn.Linear, self.time_projection[1])
        sinusoids = sinusoidal_embedding(torch.tensor(timesteps, dtype=torch.float32), self.config.freq_dim)
        hidden = functional.silu(linear_float32(first, sinusoids.to(first.weight.device)))
        levels = linear_float32(second, hidden)
        changes = torch.unflatten(linear_float32(projection, functional.silu(levels)), -1, (6, -1))
        blocks = torch.cat([cast(TransformerBlock, block).modulation for block in self.blocks]).float()
        head = self.head.modulation[0].float()
        return [
            TimeModulation((blocks + change)[:, :, None], (head + level)[:, None])
            for change, level in zip(changes, levels, strict=True)
        ]

    def project_text(self, prompt_LD: Tensor) -> list[KeyValue]:
        """Keys and values of an encoded prompt for every layer; tokens beyond `text_len` are dropped."""
        padded = functional.pad(prompt_LD, (0, 0, 0, self.config.text_len - len(prompt_LD)))
        text_BLD = self.text_embedding(padded[None].to(self.template_tensor))
        return [cast(TransformerBlock, block).cross_attn.project_key_value(text_BLD) for block in self.blocks]

    def encode_audio_block(self, features_ALCP: Tensor) -> list[AudioConditioning]:
        """The conditioning of every injector by the audio features of one block."""
        tokens = self.casual_audio_encoder.encode_block(features_ALCP.to(self.template_tensor))
        return self.audio_injector.prepare_conditioning(tokens)

    def compute_rope(self, positions: TokenPositions) -> Rope:
        """Rotation angles of tokens for the heads of this model, on its device."""
        return compute_token_rope(positions, self.config.head_dim, self.template_tensor.device)

    @property
    def template_tensor(self) -> Tensor:
        """A tensor of the type and on the device that the model computes in."""
        return self.patch_embedding.weight

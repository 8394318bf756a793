# ruff: noqa: N803  (names carry their shape, by the legend below)
"""One differentiable pass over a clip, all of whose blocks have the same noise level.

A stream denoises block by block, and at every step a block attends to those before it as they were at the same step.
So a whole clip at one noise level, with attention that sees the sink, the blocks before and the own block, computes
what the rings of the stream compute. Nothing in `liveavatar.dit.model` knows of training: the functional memory below
takes the rings' place.

Shapes: B clips, K blocks of a clip, C latent channels, T latent frames, L layers of the audio encoder, P pictures of a
block, N tokens, S tokens of the sink, H heads, D channels of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from liveavatar.dit.model.audio_injector import AudioConditioning, AudioTokens
from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import (
    REFERENCE_FRAME,
    TokenPositions,
    apply_rope,
    block_positions,
    sink_positions,
)
from liveavatar.dit.model.transformer import BlockInputs, DiT, TimeModulation
from liveavatar.dit.streaming.scheduler import TRAIN_STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInputs:
    """What clips are drawn from.

    Attributes:
        features: of the sound, [B, K, L, C, P].
        portrait: latent of the portrait [1, C, 1, H, W].
        past: latents of the still past before the stream [1, C, 19, H, W].
        prompt: [tokens, text_dim].
        start: number of the first block in its stream.
        distance: latent frames from a clip's first one to the portrait, once the stream is near it.
    """

    features: Tensor
    portrait: Tensor
    past: Tensor
    prompt: Tensor
    start: int = 0
    distance: int = 10


@dataclass(frozen=True, slots=True)
class ClipMemory:
    """One layer's memory of a clip: the rotated sink [1, S, H, D], and the tokens of a block."""

    sink: KeyValue
    block_tokens: int

    def attend(self, q_BNHD: Tensor, k_BNHD: Tensor, v_BNHD: Tensor) -> Tensor:
        """Every block attends to the sink, to the blocks before it and to itself."""
        sink_k, sink_v = (part.to(q_BNHD.dtype).expand(len(q_BNHD), -1, -1, -1) for part in self.sink)
        keys, values = torch.cat([sink_k, k_BNHD], dim=1), torch.cat([sink_v, v_BNHD], dim=1)
        ends = range(self.block_tokens, q_BNHD.shape[1] + 1, self.block_tokens)
        return torch.cat(
            [
                matrix_attention(
                    q_BNHD[:, end - self.block_tokens : end],
                    keys[:, : sink_k.shape[1] + end],
                    values[:, : sink_v.shape[1] + end],
                )
                for end in ends
            ],
            dim=1,
        )


def matrix_attention(q_BNHD: Tensor, k_BSHD: Tensor, v_BSHD: Tensor) -> Tensor:
    """Attention by two products of matrices: on a CPU its gradient takes a tenth of the fused kernel's time."""
    if k_BSHD.shape[1] == 1:
        return v_BSHD.expand(-1, q_BNHD.shape[1], -1, -1)
    q, k, v = (part.transpose(1, 2) for part in (q_BNHD, k_BSHD, v_BSHD))
    shares = (q @ k.transpose(2, 3) / sqrt(q.shape[-1])).softmax(dim=-1)
    return (shares.to(v.dtype) @ v).transpose(1, 2)


def predict_velocity(model: DiT, noisy_BCTHW: Tensor, sigmas: Sequence[float], clips: ClipInputs) -> Tensor:
    """Velocity [B, C, T, H, W] of noisy clips, each at its own noise level."""
    rows, columns = (side // model.config.patch for side in noisy_BCTHW.shape[-2:])
    blocks, frames = clips.features.shape[1], noisy_BCTHW.shape[2]
    first = clips.start * frames // blocks
    ahead = max(0, first - (REFERENCE_FRAME - clips.distance))
    sink_rope = model.compute_rope(_move_portrait(sink_positions(REFERENCE_FRAME, rows, columns), ahead))
    text = model.project_text(clips.prompt)
    sink = model.compute_sink(clips.portrait, clips.past, text)
    memory = [
        ClipMemory(KeyValue(apply_rope(part.k, sink_rope), part.v), frames // blocks * rows * columns)
        for part in sink
    ]
    inputs = BlockInputs(
        text=text,
        rope=model.compute_rope(block_positions(first, frames, rows, columns)),
        audio=encode_clip_audio(model, clips.features),
    )
    return model(noisy_BCTHW, compute_clip_modulation(model, sigmas), inputs, memory)  # type: ignore[no-any-return]


def _move_portrait(positions: TokenPositions, ahead: int) -> TokenPositions:
    moved = positions.copy()
    moved[positions[:, 0] == REFERENCE_FRAME, 0] += ahead
    return moved


def compute_clip_modulation(model: DiT, sigmas: Sequence[float]) -> TimeModulation:
    """The modulation of a batch of noise levels."""
    levels = model.compute_modulations([TRAIN_STEPS * sigma for sigma in sigmas])
    return TimeModulation(
        torch.cat([level.blocks for level in levels], dim=2),
        torch.cat([level.head for level in levels], dim=1),
    )


def encode_clip_audio(model: DiT, features_BKLCP: Tensor) -> list[AudioConditioning]:
    """The audio of clips. Each block is encoded without the others, as in the stream."""
    tokens = model.casual_audio_encoder.encode_block(features_BKLCP.flatten(0, 1).to(model.template_tensor))
    joined = AudioTokens(*(part.reshape(len(features_BKLCP), -1, *part.shape[2:]) for part in tokens))
    return model.audio_injector.prepare_conditioning(joined)

# ruff: noqa: N803, N806  (names carry their shape, by the legend below)
"""Audio in the transformer: features become a few tokens for each latent frame, which some layers attend to.

Shapes: A voices, L layers of the audio encoder, C its channels, P pictures, T latent frames, D channels of the
transformer, H heads, K channels of a head.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from liveavatar.dit.model.attention import AttentionKernel
from liveavatar.dit.model.layers import CrossAttention, KeyValue, layer_norm_float32, linear_float32
from liveavatar.dit.plan.config import PICTURES_PER_LATENT, DitConfig

LEAD_COLUMNS = 5
"""Copies of a block's first column that precede it. The reference uses 73, of which 5 reach the output."""


class AudioTokens(NamedTuple):
    """Audio of one block: a global token [A, T, D], local tokens and one of padding [A, T, tokens + 1, D]."""

    global_token: Tensor
    local_tokens: Tensor


class CausalConv1d(nn.Module):
    """A causal convolution over time; the first step is repeated before the start."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(channels, out, kernel_size=3, stride=stride)

    def forward(self, x_ACT: Tensor) -> Tensor:
        """[A, out, ceil(T / stride)], in float32."""
        padded = functional.pad(x_ACT, (2, 0), mode="replicate")
        weight, bias = self.conv.weight.float(), self.conv.bias
        return functional.conv1d(padded, weight, None if bias is None else bias.float(), stride=self.stride)


class AudioDownsampler(nn.Module):
    """Reduces the time steps by 4, in two branches: a few local tokens, and one global token a step."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        dim, self.token_count = config.dim, config.audio_tokens
        self.padding_tokens = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.conv1_local = CausalConv1d(config.audio_dim, self.token_count * dim // 4)
        self.conv1_global = CausalConv1d(config.audio_dim, dim // 4)
        self.conv2 = CausalConv1d(dim // 4, dim // 2, stride=2)
        self.conv3 = CausalConv1d(dim // 2, dim, stride=2)
        self.final_linear = nn.Linear(dim, dim)

    def forward(self, x_ACT: Tensor) -> AudioTokens:
        """Tokens of ceil(T/4) steps, float32."""
        voices = len(x_ACT)
        local_ACT: Tensor = self.conv1_local(x_ACT)
        local_ATD = self.downsample_branch(
            torch.unflatten(local_ACT, 1, (self.token_count, -1)).flatten(0, 1)
        )
        local_tokens = torch.unflatten(local_ATD, 0, (voices, self.token_count)).transpose(1, 2)
        padding = self.padding_tokens.float().expand(voices, local_tokens.shape[1], 1, -1)
        global_token = linear_float32(self.final_linear, self.downsample_branch(self.conv1_global(x_ACT)))
        return AudioTokens(global_token, torch.cat([local_tokens, padding], dim=2))

    def downsample_branch(self, x_ACT: Tensor) -> Tensor:
        """The rest of a branch after its first convolution: [A, T/4, D]."""
        for conv in (self.conv2, self.conv3):
            x_ACT = conv(_norm_and_activate(x_ACT))
        return _norm_and_activate(x_ACT).transpose(1, 2)


def _norm_and_activate(x_ACT: Tensor) -> Tensor:
    return functional.silu(layer_norm_float32(x_ACT.transpose(1, 2), 1e-6)).transpose(1, 2)


class CausalAudioEncoder(nn.Module):
    """Tokens of the learned weighted mean of the audio encoder's layers."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(1, config.audio_layers, 1, 1))
        self.encoder = AudioDownsampler(config)

    def forward(self, features_ALCP: Tensor) -> AudioTokens:
        """Tokens of ceil(P/4) latent steps, float32."""
        weights = functional.silu(self.weights)
        mixed_ACP = (features_ALCP * weights).float().sum(dim=1) / weights.float().sum(dim=1)
        tokens: AudioTokens = self.encoder(mixed_ACP)
        return tokens

    def encode_block(self, features_ALCP: Tensor) -> AudioTokens:
        """Tokens of a block of 4·T pictures, T latent frames, without context from other blocks."""
        lead = features_ALCP[..., :1].expand(*features_ALCP.shape[:-1], LEAD_COLUMNS)
        tokens = self(torch.cat([lead, features_ALCP], dim=-1))
        first = -(-LEAD_COLUMNS // PICTURES_PER_LATENT)
        return AudioTokens(*(part[:, first:].to(features_ALCP.dtype) for part in tokens))


class AudioConditioning(NamedTuple):
    """Conditioning of one injector by one block: shift and scale [A, T, 1, D], keys and values [A·T, tokens + 1, H, K].

    In a batch of blocks, A counts the voices of all, block after block.
    """

    shift: Tensor
    scale: Tensor
    key_value: KeyValue


class AdaptiveNorm(nn.Module):
    """Shift and scale of a norm, from the global token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 2 * dim)

    def compute_modulation(self, global_ATD: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale, [A, T, 1, D] each."""
        shift, scale = self.linear(functional.silu(global_ATD)).unsqueeze(2).chunk(2, dim=-1)
        return shift, scale


class AudioInjector(nn.Module):
    """One cross-attention for each injected layer, from the picture to the audio tokens of its own latent frame."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.injector = nn.ModuleList(CrossAttention(config) for _ in config.inject)
        self.injector_adain_layers = nn.ModuleList(AdaptiveNorm(config.dim) for _ in config.inject)

    def prepare_conditioning(self, tokens: AudioTokens) -> list[AudioConditioning]:
        """What does not depend on the picture, computed once for all denoising steps of a block."""
        conditioning = []
        for adain, injector in zip(self.injector_adain_layers, self.injector, strict=True):
            shift, scale = cast(AdaptiveNorm, adain).compute_modulation(tokens.global_token)
            key_value = cast(CrossAttention, injector).project_key_value(tokens.local_tokens.flatten(0, 1))
            conditioning.append(AudioConditioning(shift, scale, key_value))
        return conditioning

    def forward(
        self,
        index: int,
        x_BND: Tensor,
        conditioning: AudioConditioning,
        mask_AN: Tensor | None,
        kernel: AttentionKernel,
    ) -> Tensor:
        """`x_BND` plus the output of injector `index`; a `mask_AN` of the tokens each voice reaches needs B = 1."""
        injector = cast(CrossAttention, self.injector[index])
        q_BNHK = self.project_query(injector, x_BND, conditioning)
        attended = injector.attend(kernel, q_BNHK, conditioning.key_value)
        return self.add_output(injector, x_BND, attended, mask_AN)

    @staticmethod
    def project_query(injector: CrossAttention, x_BND: Tensor, conditioning: AudioConditioning) -> Tensor:
        """Queries [B·A·T, N, H, K] for every voice in every latent frame; `conditioning` has a batch of B·A."""
        batch, frames = len(x_BND), conditioning.shift.shape[1]
        x_B1TND = layer_norm_float32(torch.unflatten(x_BND, 1, (frames, -1)), 1e-5)[:, None]
        shift, scale = (
            torch.unflatten(part, 0, (batch, -1)) for part in (conditioning.shift, conditioning.scale)
        )
        n_BATND = (x_B1TND * (1 + scale) + shift).to(x_BND.dtype)
        return injector.project_query(n_BATND.flatten(0, 2))

    @staticmethod
    def add_output(
        injector: CrossAttention, x_BND: Tensor, attended: Tensor, mask_AN: Tensor | None
    ) -> Tensor:
        """`x_BND` plus the outputs of all voices."""
        batch, tokens, _ = x_BND.shape
        added_BAND = injector.project_output(attended).reshape(batch, -1, tokens, x_BND.shape[-1])
        if mask_AN is not None:
            added_BAND = added_BAND * mask_AN[..., None].to(added_BAND.dtype)
        return x_BND + added_BAND.sum(dim=1)

# ruff: noqa: N803, N806  (names carry their shape, by the legend below)
"""The layers of the transformer. Attributes have the names of the checkpoint's keys.

Precision follows the reference under bf16 autocast: norms, modulation and the residual sum inside a block are
float32, products are in the type of the weights, and the hidden state is rounded once at the end of a block.

Shapes: B batch, N queries, S keys, L text tokens, D channels, H heads, K channels of a head.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from liveavatar.dit.model.attention import AttentionKernel
from liveavatar.dit.model.rope import Rope, apply_rope
from liveavatar.dit.plan.config import DitConfig


class KeyValue(NamedTuple):
    """Keys and values, [B, S, H, K] each."""

    k: Tensor
    v: Tensor


class LayerCache(Protocol):
    """The keys and values that one layer attends to at one denoising step."""

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Add a block's keys and values; returns the attention of its queries [B, N, H, K]. q and k are rotated."""
        ...


class SinkRecorder:
    """The cache of one layer while the sink is computed: records its keys, before rotation, and its values."""

    key_value: KeyValue

    def __init__(self, rope: Rope, kernel: AttentionKernel) -> None:
        self._rope = rope
        self._kernel = kernel

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Record keys and values; the sink attends to itself, rotated by its own angles."""
        # a view of the values would keep the whole product of q, k and v alive
        self.key_value = KeyValue(k_BNHK, v_BNHK.contiguous())
        return self._kernel(apply_rope(q_BNHK, self._rope), apply_rope(k_BNHK, self._rope), v_BNHK)


def layer_norm_float32(x: Tensor, eps: float) -> Tensor:
    """Layer norm without parameters, in float32."""
    return functional.layer_norm(x.float(), x.shape[-1:], eps=eps)


def sinusoidal_embedding(timesteps: Tensor, width: int) -> Tensor:
    """Sinusoids [timesteps, width] of float32 noise levels, cosines first; angles in float64."""
    half = width // 2
    rates = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = timesteps.double()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1).float()


def linear_float32(layer: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer in float32, whatever the type of its weights."""
    return functional.linear(x.float(), layer.weight.float(), layer.bias.float())


class RMSNorm(nn.Module):
    """RMS norm over all channels: statistics in float32, the product with the weight in the type of the weight."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape and type as `x`."""
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        normed: Tensor = (wide * scale).to(x.dtype) * self.weight
        return normed


class AttentionProjections(nn.Module):
    """Projections of multi-head attention; q and k are normed over all channels before they are split into heads."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = nn.Linear(config.dim, config.dim)
        self.k = nn.Linear(config.dim, config.dim)
        self.v = nn.Linear(config.dim, config.dim)
        self.o = nn.Linear(config.dim, config.dim)
        self.norm_q = RMSNorm(config.dim, config.eps)
        self.norm_k = RMSNorm(config.dim, config.eps)

    def project_query(self, x_BND: Tensor) -> Tensor:
        """Queries [B, N, H, K]."""
        return self.split_heads(self.norm_q(self.q(x_BND)))

    def project_key_value(self, x_BSD: Tensor) -> KeyValue:
        """Keys and values [B, S, H, K]."""
        return KeyValue(self.split_heads(self.norm_k(self.k(x_BSD))), self.split_heads(self.v(x_BSD)))

    def split_heads(self, x_BND: Tensor) -> Tensor:
        """[B, N, D] to [B, N, H, K]."""
        return torch.unflatten(x_BND, -1, (self.heads, -1))

    def project_output(self, x_BNHK: Tensor) -> Tensor:
        """[B, N, H, K] to [B, N, D], through the output projection."""
        y_BND: Tensor = self.o(x_BNHK.flatten(-2))
        return y_BND


class SelfAttention(AttentionProjections):
    """Attention of a block to itself, its past and the sink; `fuse_qkv` makes q, k and v one layer, `qkv`."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__(config)
        self.qkv: nn.Module | None = None

    def forward(self, x_BND: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [B, N, H, K]; queries and keys are rotated."""
        parts = (
            (self.q(x_BND), self.k(x_BND), self.v(x_BND))
            if self.qkv is None
            else self.qkv(x_BND).chunk(3, -1)
        )
        q, k, v = (
            self.split_heads(part) for part in (self.norm_q(parts[0]), self.norm_k(parts[1]), parts[2])
        )
        return apply_rope(q, rope), apply_rope(k, rope), v


class CrossAttention(AttentionProjections):
    """Attention to text or audio, whose keys and values are computed once by `project_key_value`."""

    @staticmethod
    def attend(kernel: AttentionKernel, q_BNHK: Tensor, key_value: KeyValue) -> Tensor:
        """Attention of the queries to `key_value`, whose batch is B, or 1 where all queries share the same tokens."""
        if len(key_value.k) == len(q_BNHK):
            return kernel(q_BNHK, key_value.k, key_value.v)
        return kernel(q_BNHK.flatten(0, 1)[None], key_value.k, key_value.v).view(q_BNHK.shape)


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention to the text, feed-forward, with shift, scale and gate from the noise level."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.modulation = nn.Parameter(torch.zeros(1, 6, config.dim))
        self.self_attn = SelfAttention(config)
        self.norm3 = nn.LayerNorm(config.dim, eps=config.eps)
        self.cross_attn = CrossAttention(config)
        self.ffn = nn.Sequential(
            nn.Linear(config.dim, config.ffn_dim),
            nn.GELU(approximate="tanh"),
            nn.Linear(config.ffn_dim, config.dim),
        )

    def forward(
        self,
        x_BND: Tensor,
        time_6BD: Tensor,
        text: KeyValue,
        rope: Rope,
        cache: LayerCache,
        kernel: AttentionKernel,
    ) -> Tensor:
        """[B, N, D] to [B, N, D]. `time_6BD` includes this block's own modulation, float32.

        All but attention is in three pure functions, so that each can be compiled.
        """
        attended_BNHK = cache.attend(*self.before_self_attention(x_BND, time_6BD, rope))
        x_BND, q_BNHK = self.between_attentions(x_BND, attended_BNHK, time_6BD)
        return self.after_cross_attention(x_BND, self.cross_attn.attend(kernel, q_BNHK, text), time_6BD)

    def before_self_attention(
        self, x_BND: Tensor, time_6BD: Tensor, rope: Rope
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of self-attention."""
        shift, scale = time_6BD[0].unsqueeze(-2), time_6BD[1].unsqueeze(-2)
        # as in training, this norm is rounded before it is modulated; the one before the feed-forward is not
        n = layer_norm_float32(x_BND, self.eps).to(x_BND.dtype).float() * (1 + scale) + shift
        qkv: tuple[Tensor, Tensor, Tensor] = self.self_attn(n.to(x_BND.dtype), rope)
        return qkv

    def between_attentions(
        self, x_BND: Tensor, attended_BNHK: Tensor, time_6BD: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The sum with self-attention, in float32, and the queries of cross-attention."""
        x = x_BND.float() + self.self_attn.project_output(attended_BNHK) * time_6BD[2].unsqueeze(-2)
        return x, self.cross_attn.project_query(self.norm3(x.to(x_BND.dtype)))

    def after_cross_attention(self, x_BND: Tensor, attended_BNHK: Tensor, time_6BD: Tensor) -> Tensor:
        """The sum with cross-attention and the feed-forward, rounded."""
        dtype, (shift, scale, gate) = attended_BNHK.dtype, time_6BD[3:].unsqueeze(-2)
        x = x_BND + self.cross_attn.project_output(attended_BNHK)
        n = layer_norm_float32(x, self.eps) * (1 + scale) + shift
        x = x + self.ffn(n.to(dtype)) * gate
        out: Tensor = x.to(dtype)
        return out


class VelocityHead(nn.Module):
    """Tokens to patches of velocity."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.modulation = nn.Parameter(torch.zeros(1, 2, config.dim))
        self.head = nn.Linear(config.dim, config.patch**2 * config.channels)

    def forward(self, x_BND: Tensor, time_2BD: Tensor) -> Tensor:
        """[B, N, patch²·channels], float32; `time_2BD` includes the head's own modulation."""
        shift, scale = time_2BD.unsqueeze(-2)
        return linear_float32(self.head, layer_norm_float32(x_BND, self.eps) * (1 + scale) + shift)

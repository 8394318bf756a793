# ruff: noqa: N803, N806  (names carry their shape, by the legend below)
"""The parts of the transformer. Attributes are named as the keys of the checkpoint, so loading needs no map.

Precision follows the reference under bf16 autocast: norms, modulation and the residual sum inside a block are
float32, products are in the type of the weights, and the stream is rounded once at the end of a block.

Shapes: B batch, N queries, S keys, L text tokens, D channels, H heads, K channels of a head.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from liveavatar.dit.attention import attention
from liveavatar.dit.config import DitConfig
from liveavatar.dit.rope import Rope, rotate


class KeyValue(NamedTuple):
    """Keys and values, [B, S, H, K] each."""

    k: Tensor
    v: Tensor


class Memory(Protocol):
    """What one layer of one denoising step may look at."""

    def extend(self, k_BNHK: Tensor, v_BNHK: Tensor, rope: Rope) -> KeyValue:
        """Take in a block's keys, not yet turned by `rope`, and return everything the block may look at."""
        ...


def wide_norm(x: Tensor, eps: float) -> Tensor:
    """Layer norm without parameters, in float32."""
    return functional.layer_norm(x.float(), x.shape[-1:], eps=eps)


def wide_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer in float32, whatever type its weights are kept in."""
    return functional.linear(x.float(), layer.weight.float(), layer.bias.float())


class RMSNorm(nn.Module):
    """Root-mean-square norm over all channels: statistics in float32, weighted in the type of the weight."""

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


class Attention(nn.Module):
    """Projections of multi-head attention, with q and k normed over the full width before the heads part."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = nn.Linear(config.dim, config.dim)
        self.k = nn.Linear(config.dim, config.dim)
        self.v = nn.Linear(config.dim, config.dim)
        self.o = nn.Linear(config.dim, config.dim)
        self.norm_q = RMSNorm(config.dim, config.eps)
        self.norm_k = RMSNorm(config.dim, config.eps)

    def query(self, x_BND: Tensor) -> Tensor:
        """Queries [B, N, H, K]."""
        return self.split(self.norm_q(self.q(x_BND)))

    def key_value(self, x_BSD: Tensor) -> KeyValue:
        """Keys and values, not turned."""
        return KeyValue(self.split(self.norm_k(self.k(x_BSD))), self.split(self.v(x_BSD)))

    def split(self, x_BND: Tensor) -> Tensor:
        """Channels parted into heads."""
        return torch.unflatten(x_BND, -1, (self.heads, -1))

    def output(self, x_BNHK: Tensor) -> Tensor:
        """The heads joined and mixed."""
        y_BND: Tensor = self.o(x_BNHK.flatten(-2))
        return y_BND


class SelfAttention(Attention):
    """Attention of a block to itself, its past and the sink."""

    def forward(self, x_BND: Tensor, rope: Rope, memory: Memory) -> Tensor:
        """[B, N, D]."""
        q_BNHK = rotate(self.query(x_BND), rope)
        seen = memory.extend(*self.key_value(x_BND), rope)
        return self.output(attention(q_BNHK, seen.k, seen.v))


class CrossAttention(Attention):
    """Attention to tokens from elsewhere, whose keys and values are computed once by `key_value`."""

    def forward(self, x_BND: Tensor, given: KeyValue) -> Tensor:
        """[B, N, D]."""
        return self.output(attention(self.query(x_BND), given.k, given.v))


class Block(nn.Module):
    """Self-attention, text, feed-forward; six vectors made from the noise level shift, scale and gate it."""

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

    def forward(self, x_BND: Tensor, time_6BD: Tensor, text: KeyValue, rope: Rope, memory: Memory) -> Tensor:
        """One layer. `time_6BD` already holds this block's own modulation, float32."""
        kind = x_BND.dtype
        shift1, scale1, gate1, shift2, scale2, gate2 = time_6BD.unsqueeze(-2)
        # The first norm is rounded before it is modulated, the second is not: so it was trained.
        n = wide_norm(x_BND, self.eps).to(kind).float() * (1 + scale1) + shift1
        x = x_BND.float() + self.self_attn(n.to(kind), rope, memory) * gate1
        x = x + self.cross_attn(self.norm3(x.to(kind)), text)
        n = wide_norm(x, self.eps) * (1 + scale2) + shift2
        x = x + self.ffn(n.to(kind)) * gate2
        out: Tensor = x.to(kind)
        return out


class Head(nn.Module):
    """From tokens to patches of velocity."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.modulation = nn.Parameter(torch.zeros(1, 2, config.dim))
        self.head = nn.Linear(config.dim, config.patch**2 * config.channels)

    def forward(self, x_BND: Tensor, time_2BD: Tensor) -> Tensor:
        """[B, N, patch²·channels], float32; `time_2BD` already holds the head's own modulation."""
        shift, scale = time_2BD.unsqueeze(-2)
        return wide_linear(self.head, wide_norm(x_BND, self.eps) * (1 + scale) + shift)

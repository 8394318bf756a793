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

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Take in a block's keys and values, and return what its queries see [B, N, H, K]; q and k are turned."""
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
    """Attention of a block to itself, its past and the sink; `fuse.fuse` makes q, k and v one layer, `qkv`."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__(config)
        self.qkv: nn.Module | None = None

    def forward(self, x_BND: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [B, N, H, K], the first two turned."""
        parts = (
            (self.q(x_BND), self.k(x_BND), self.v(x_BND))
            if self.qkv is None
            else self.qkv(x_BND).chunk(3, -1)
        )
        q, k, v = (self.split(part) for part in (self.norm_q(parts[0]), self.norm_k(parts[1]), parts[2]))
        return rotate(q, rope), rotate(k, rope), v


class CrossAttention(Attention):
    """Attention to tokens from elsewhere, whose keys and values are computed once by `key_value`."""

    @staticmethod
    def look(q_BNHK: Tensor, given: KeyValue) -> Tensor:
        """What the queries see; they all look at the same tokens where `given` has a batch of 1."""
        if len(given.k) == len(q_BNHK):
            return attention(q_BNHK, given.k, given.v)
        return attention(q_BNHK.flatten(0, 1)[None], given.k, given.v).view(q_BNHK.shape)


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
        """One layer. `time_6BD` already holds this block's own modulation, float32.

        Everything but attention is in three pure functions, which can be compiled each by itself.
        """
        seen_BNHK = memory.attend(*self.before(x_BND, time_6BD, rope))
        x_BND, q_BNHK = self.between(x_BND, seen_BNHK, time_6BD)
        return self.after(x_BND, self.cross_attn.look(q_BNHK, text), time_6BD)

    def before(self, x_BND: Tensor, time_6BD: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor]:
        """What self-attention asks, and what it keeps: queries, keys, values."""
        shift, scale = time_6BD[0].unsqueeze(-2), time_6BD[1].unsqueeze(-2)
        # This norm is rounded before it is modulated, the one before the feed-forward is not: so it was trained.
        n = wide_norm(x_BND, self.eps).to(x_BND.dtype).float() * (1 + scale) + shift
        asked: tuple[Tensor, Tensor, Tensor] = self.self_attn(n.to(x_BND.dtype), rope)
        return asked

    def between(self, x_BND: Tensor, seen_BNHK: Tensor, time_6BD: Tensor) -> tuple[Tensor, Tensor]:
        """Adds what self-attention saw, now in float32, and asks the text."""
        x = x_BND.float() + self.self_attn.output(seen_BNHK) * time_6BD[2].unsqueeze(-2)
        return x, self.cross_attn.query(self.norm3(x.to(x_BND.dtype)))

    def after(self, x_BND: Tensor, seen_BNHK: Tensor, time_6BD: Tensor) -> Tensor:
        """Adds what the text said and the feed-forward's answer, and rounds."""
        kind, (shift, scale, gate) = seen_BNHK.dtype, time_6BD[3:].unsqueeze(-2)
        x = x_BND + self.cross_attn.output(seen_BNHK)
        n = wide_norm(x, self.eps) * (1 + scale) + shift
        x = x + self.ffn(n.to(kind)) * gate
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

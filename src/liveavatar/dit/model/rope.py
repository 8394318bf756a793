# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Rotary position encoding over (frame, row, column); positions may be negative and as large as one likes.

The channels of a head are complex pairs, consecutive channels being real and imaginary part; the first pairs
turn with the frame, then the row, then the column. Angles are computed in float64 where they are needed, so
there is no table and no limit. Cosine and sine are rounded to half precision, as the weights were trained.

Shapes: N tokens, H heads, P complex pairs of a head.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROPE_THETA = 10_000.0
REFERENCE_FRAME = 30
"""Where the portrait stands in a pass over the sink alone, in latent frames."""

TokenPositions = NDArray[np.int64]
"""[tokens, 3]: frame, row, column."""


class Rope(NamedTuple):
    """Turning angles of N tokens: cosine and sine [N, P], float32; [B, N, P] where those of a batch differ."""

    cos: Tensor
    sin: Tensor

    def to_identity(self) -> "Rope":
        """Angles of nought, which change no bit."""
        return Rope(torch.ones_like(self.cos), torch.zeros_like(self.sin))


def compute_token_rope(positions: TokenPositions, head_dim: int, device: torch.device) -> Rope:
    """Angles for tokens at `positions`, for heads of `head_dim` channels."""
    turns = [
        positions[:, axis, None] * ROPE_THETA ** (-np.arange(0, width, 2) / width)
        for axis, width in enumerate(axis_widths(head_dim))
    ]
    angles = np.concatenate(turns, axis=1)
    cos, sin = (torch.from_numpy(part(angles)).half().float() for part in (np.cos, np.sin))
    # what leaves pageable memory is read before this returns, so nobody needs to wait for the device
    return Rope(cos.to(device, non_blocking=True), sin.to(device, non_blocking=True))


class MovingRope:
    """Angles of whole frames, always in the same memory.

    Rows and columns never change, so that only a few angles a frame are made anew.
    """

    def __init__(self, grid: tuple[int, int, int], head_dim: int, device: torch.device) -> None:
        """`grid` is frames, rows and columns."""
        self._grid = grid
        self._head_dim = head_dim
        cos, sin = compute_token_rope(block_positions(0, *grid), head_dim, device)
        self._rope = Rope(cos[None], sin[None])

    def move_to(self, start: int) -> Rope:
        """The angles [1, N, P] of frames that begin with `start`; good until placed again."""
        frames, _, _ = self._grid
        turning = axis_widths(self._head_dim)[0] // 2
        moved = compute_token_rope(
            block_positions(start, frames, 1, 1), self._head_dim, self._rope.cos.device
        )
        for kept, part in zip(self._rope, moved, strict=True):
            kept.view(frames, -1, kept.shape[-1])[..., :turning] = part[:, None, :turning]
        return self._rope


def axis_widths(head_dim: int) -> tuple[int, int, int]:
    """Channels that turn with frame, row and column: 44, 42, 42 of 128."""
    side = 2 * (head_dim // 6)
    return head_dim - 2 * side, side, side


def apply_rope(x_BNHD: Tensor, rope: Rope) -> Tensor:
    """Turn every head of every token; computed in float32, returned in the type of the input."""
    real, imaginary = torch.unflatten(x_BNHD.float(), -1, (-1, 2)).unbind(-1)
    cos, sin = rope.cos.unsqueeze(-2), rope.sin.unsqueeze(-2)
    turned = real * cos - imaginary * sin, real * sin + imaginary * cos
    # rounded before they are put together: else a compiler keeps the whole in float32, and rounds it in another pass
    return torch.stack([part.to(x_BNHD.dtype) for part in turned], dim=-1).flatten(-2)


def block_positions(start: int, frames: int, rows: int, columns: int) -> TokenPositions:
    """Tokens of a block that starts at latent frame `start`."""
    return _grid_positions(range(start, start + frames), range(rows), range(columns))


def sink_positions(frame: int, rows: int, columns: int) -> TokenPositions:
    """Tokens of the sink: the portrait at `frame`, then what went before, the newest and finest first."""
    half, quarter = ((_spread_positions(rows, n), _spread_positions(columns, n)) for n in (2, 4))
    groups = (
        _grid_positions([frame], range(rows), range(columns)),
        _grid_positions([-1], range(rows), range(columns)),
        _grid_positions([-3], *half),
        _grid_positions([-19, -14, -9, -4], *quarter),
    )
    return np.concatenate(groups)


def _spread_positions(size: int, factor: int) -> Sequence[int]:
    """`size / factor` whole positions from the first to the last of `size`."""
    return [int(place) for place in np.linspace(0, size - 1, size // factor)]


def _grid_positions(frames: Sequence[int], rows: Sequence[int], columns: Sequence[int]) -> TokenPositions:
    mesh = np.meshgrid(np.asarray(frames), np.asarray(rows), np.asarray(columns), indexing="ij")
    return np.stack([axis.reshape(-1) for axis in mesh], axis=1).astype(np.int64)

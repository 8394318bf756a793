# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Rotary position encoding over (frame, row, column), for positions of any sign and size.

The channels of a head are complex pairs, consecutive channels being real and imaginary part; the first pairs
are rotated by the frame, then the row, then the column. Angles are computed in float64 when needed, so
there is no table and no limit. Cosine and sine are rounded to half precision, as in training.

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
"""Position of the portrait in a pass over the sink alone, in latent frames."""

TokenPositions = NDArray[np.int64]
"""[tokens, 3]: frame, row, column."""


class Rope(NamedTuple):
    """Rotation of N tokens: cosine and sine [N, P], float32; [B, N, P] if the batch differs."""

    cos: Tensor
    sin: Tensor

    def to_identity(self) -> "Rope":
        """Angles of 0, which change no bit."""
        return Rope(torch.ones_like(self.cos), torch.zeros_like(self.sin))


def compute_token_rope(positions: TokenPositions, head_dim: int, device: torch.device) -> Rope:
    """Rotation of tokens at `positions`, for heads of `head_dim` channels."""
    axis_angles = [
        positions[:, axis, None] * ROPE_THETA ** (-np.arange(0, width, 2) / width)
        for axis, width in enumerate(axis_widths(head_dim))
    ]
    angles = np.concatenate(axis_angles, axis=1)
    cos, sin = (torch.from_numpy(part(angles)).half().float() for part in (np.cos, np.sin))
    # a copy from pageable memory is staged before this returns, so no synchronisation is needed
    return Rope(cos.to(device, non_blocking=True), sin.to(device, non_blocking=True))


class MovingRope:
    """Rotation of all tokens of some frames, updated in place.

    Rows and columns never change, so a move computes one set of angles a frame.
    """

    def __init__(self, grid: tuple[int, int, int], head_dim: int, device: torch.device) -> None:
        """`grid` is (frames, rows, columns)."""
        self._grid = grid
        self._head_dim = head_dim
        cos, sin = compute_token_rope(block_positions(0, *grid), head_dim, device)
        self._rope = Rope(cos[None], sin[None])

    def move_to(self, start: int) -> Rope:
        """The rotation [1, N, P] of frames from `start` on; valid until the next move."""
        frames, _, _ = self._grid
        frame_pairs = axis_widths(self._head_dim)[0] // 2
        moved = compute_token_rope(
            block_positions(start, frames, 1, 1), self._head_dim, self._rope.cos.device
        )
        for target, part in zip(self._rope, moved, strict=True):
            target.view(frames, -1, target.shape[-1])[..., :frame_pairs] = part[:, None, :frame_pairs]
        return self._rope


def axis_widths(head_dim: int) -> tuple[int, int, int]:
    """Channels rotated by frame, row and column: 44, 42, 42 of 128."""
    side = 2 * (head_dim // 6)
    return head_dim - 2 * side, side, side


def apply_rope(x_BNHD: Tensor, rope: Rope) -> Tensor:
    """Rotate every head of every token; computed in float32, returned in the type of the input."""
    real, imaginary = torch.unflatten(x_BNHD.float(), -1, (-1, 2)).unbind(-1)
    cos, sin = rope.cos.unsqueeze(-2), rope.sin.unsqueeze(-2)
    rotated = real * cos - imaginary * sin, real * sin + imaginary * cos
    # rounded before they are stacked: else a compiler keeps float32 and rounds in another pass
    return torch.stack([part.to(x_BNHD.dtype) for part in rotated], dim=-1).flatten(-2)


def block_positions(start: int, frames: int, rows: int, columns: int) -> TokenPositions:
    """Positions of the tokens of a block that starts at latent frame `start`."""
    return _grid_positions(range(start, start + frames), range(rows), range(columns))


def sink_positions(frame: int, rows: int, columns: int) -> TokenPositions:
    """Positions of the tokens of the sink: the portrait at `frame`, then the past, newest and finest first."""
    half, quarter = ((_spread_positions(rows, n), _spread_positions(columns, n)) for n in (2, 4))
    groups = (
        _grid_positions([frame], range(rows), range(columns)),
        _grid_positions([-1], range(rows), range(columns)),
        _grid_positions([-3], *half),
        _grid_positions([-19, -14, -9, -4], *quarter),
    )
    return np.concatenate(groups)


def _spread_positions(size: int, factor: int) -> Sequence[int]:
    """`size / factor` integer positions from 0 to `size - 1`."""
    return [int(position) for position in np.linspace(0, size - 1, size // factor)]


def _grid_positions(frames: Sequence[int], rows: Sequence[int], columns: Sequence[int]) -> TokenPositions:
    mesh = np.meshgrid(np.asarray(frames), np.asarray(rows), np.asarray(columns), indexing="ij")
    return np.stack([axis.reshape(-1) for axis in mesh], axis=1).astype(np.int64)

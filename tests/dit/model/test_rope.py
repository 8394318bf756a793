from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from liveavatar.dit.model.rope import (
    TokenPositions,
    apply_rope,
    axis_widths,
    block_positions,
    compute_token_rope,
    sink_positions,
)
from small_dit import COLUMNS, ROWS, golden, max_error

GOLDEN = golden("rope")
CPU = torch.device("cpu")


def cos_sin(positions: TokenPositions, width: int) -> Tensor:
    rope = compute_token_rope(positions, width, CPU)
    return torch.stack([rope.cos, rope.sin], dim=-1)


@pytest.mark.parametrize("width", [16, 128])
@pytest.mark.parametrize(
    ("name", "positions"),
    [
        ("noisy0", block_positions(0, 3, ROWS, COLUMNS)),
        ("noisy9", block_positions(9, 3, ROWS, COLUMNS)),
        ("ref", block_positions(30, 1, ROWS, COLUMNS)),
        ("motion", sink_positions(30, ROWS, COLUMNS)[ROWS * COLUMNS :]),
    ],
)
def test_angles_are_those_of_the_reference(name: str, positions: TokenPositions, width: int) -> None:
    assert max_error(cos_sin(positions, width), GOLDEN[f"{name}_{width}"][0, :, 0]) < 1e-6


@pytest.mark.parametrize("width", [16, 128])
def test_heads_are_rotated_as_in_the_reference(width: int) -> None:
    rope = compute_token_rope(block_positions(9, 3, ROWS, COLUMNS), width, CPU)
    assert max_error(apply_rope(GOLDEN[f"q_{width}"], rope), GOLDEN[f"q_roped_{width}"]) < 1e-5


def test_pairs_are_divided_among_frame_row_and_column() -> None:
    assert axis_widths(128) == (44, 42, 42)
    assert axis_widths(16) == (8, 4, 4)


def test_coarse_positions_reach_from_the_first_to_the_last() -> None:
    rows = sink_positions(30, 24, 4)[2 * 24 * 4 :, 1]
    assert sorted(set(rows[: 12 * 2].tolist())) == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 23]
    assert sorted(set(rows[12 * 2 :].tolist())) == [0, 4, 9, 13, 18, 23]


@given(frame=st.integers(0, 10**9), shift=st.integers(-40, 40))
@settings(max_examples=30, deadline=None)
def test_positions_are_unlimited_and_only_distance_counts(frame: int, shift: int) -> None:
    q, k = torch.randn(2, 1, 2, 1, 128, generator=torch.Generator().manual_seed(1)).unbind()
    scores = []
    for start in (40, frame + 40):
        rotated = [
            apply_rope(x, compute_token_rope(np.array([[start + at, 1, 2]] * 2), 128, CPU))
            for x, at in ((q, 0), (k, shift))
        ]
        scores.append((rotated[0] * rotated[1]).sum())
    # half-precision angles are not exactly relative
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=0.2)


def test_negative_positions_rotate_the_other_way() -> None:
    ahead, behind = (compute_token_rope(np.array([[frame, 0, 0]]), 128, CPU) for frame in (19, -19))
    assert torch.equal(ahead.cos, behind.cos)
    assert torch.equal(ahead.sin, -behind.sin)


def test_rotation_keeps_lengths_and_type() -> None:
    x = torch.randn(1, 5, 2, 16, dtype=torch.bfloat16)
    y = apply_rope(x, compute_token_rope(block_positions(3, 1, 1, 5), 16, CPU))
    assert y.dtype is torch.bfloat16
    torch.testing.assert_close(x.float().norm(dim=-1), y.float().norm(dim=-1), rtol=0.02, atol=0)


def test_the_newest_of_the_past_comes_first() -> None:
    frames = [int(frame) for frame in sink_positions(30, 4, 4)[:, 0]]
    assert [a for a, b in pairwise([*frames, None]) if a != b] == [30, -1, -3, -19, -14, -9, -4]

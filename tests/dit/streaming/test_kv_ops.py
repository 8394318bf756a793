from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.dit.streaming.kv_cache import RingKVCache, RingShape
from liveavatar.dit.streaming.kv_ops import (
    FP8_DTYPE,
    FP8_HEADROOM,
    compute_head_scale,
    fp8_to_values,
    values_to_fp8,
)
from small_dit import small_dit
from small_stream import relative_error, run_stream

FLOAT = torch.float32


@given(size=st.floats(1e-6, 1e6), seed=st.integers(0, 99))
def test_the_error_of_fp8_is_half_a_step(size: float, seed: int) -> None:
    values = size * torch.randn(1, 9, 3, 16, generator=torch.Generator().manual_seed(seed))
    scale = compute_head_scale(values)
    back = fp8_to_values(values_to_fp8(values, scale), scale, FLOAT)
    assert scale.shape == (1, 1, 3, 1)
    smallest = 2.0**-9 * scale
    assert ((back - values).abs() <= torch.maximum(values.abs() / 16, smallest / 2)).all()


def test_scales_are_powers_of_two_with_headroom() -> None:
    values = torch.randn(1, 9, 3, 16) * torch.tensor([1e-3, 1.0, 1e3]).view(3, 1)
    scale = compute_head_scale(values)
    assert torch.equal(scale.log2(), scale.log2().round())
    largest = values.abs().amax(dim=(0, 1, 3), keepdim=True)
    larger = FP8_HEADROOM * largest.expand(1, 1, 3, 16)
    torch.testing.assert_close(
        fp8_to_values(values_to_fp8(larger, scale), scale, FLOAT), larger, rtol=1 / 16, atol=0
    )


def test_values_beyond_the_range_saturate() -> None:
    scale = torch.ones(1, 1, 1, 1)
    values = fp8_to_values(values_to_fp8(torch.tensor([1e9, -1e9]).view(1, 1, 1, 2), scale), scale, FLOAT)
    assert values.flatten().tolist() == [448.0, -448.0]


def test_a_sink_of_zeros_has_a_finite_scale() -> None:
    assert torch.isfinite(
        values_to_fp8(torch.ones(1, 1, 1, 2), compute_head_scale(torch.zeros(1, 4, 1, 2))).float()
    ).all()


def test_a_stream_with_an_fp8_cache_is_near_the_exact_one() -> None:
    dit = small_dit()
    error = relative_error(
        run_stream(dit, make_cache=partial(RingKVCache, storage_dtype=FP8_DTYPE)), run_stream(dit)
    )
    assert 1e-4 < error < 0.02


@pytest.mark.parametrize("steps_per_sink", [1, 2])
def test_fp8_takes_a_quarter_of_float32(steps_per_sink: int) -> None:
    shape = RingShape(
        layers=2, steps=4, blocks=4, block_tokens=6, sink_tokens=5, portrait_tokens=2, heads=2, head_dim=4
    )
    float32, fp8 = (
        RingKVCache(shape, torch.zeros(0), kind, steps_per_sink=steps_per_sink) for kind in (None, FP8_DTYPE)
    )
    assert float32.bytes == 4 * fp8.bytes
    assert float32.bytes == 2 * (4 * 24 + 4 // steps_per_sink * 5) * 2 * 4 * 2 * 4

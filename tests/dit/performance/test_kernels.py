import pytest
import torch
from torch import Tensor

from liveavatar.dit.model.attention import torch_attention
from liveavatar.dit.performance.kernels import (
    choose_attention_kernel,
    find_attention_kernels,
    find_fastest_kernel,
    quantise_queries,
    try_kernel,
)
from liveavatar.dit.streaming.kv_ops import FP8_DTYPE, compute_head_scale, values_to_fp8

CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def three(queries: int = 40, keys: int = 70) -> tuple[Tensor, Tensor, Tensor]:
    return normal(1, queries, 2, 16), normal(1, keys, 2, 16, seed=1), normal(1, keys, 2, 16, seed=2)


def test_a_right_kernel_is_timed() -> None:
    assert 0 < try_kernel("torch", torch_attention, *three()).seconds < float("inf")


def test_a_wrong_kernel_is_never_the_fastest() -> None:
    assert try_kernel("flash", lambda q, k, v: 1.1 * torch_attention(q, k, v), *three()).seconds == float(
        "inf"
    )


def test_numbers_that_are_none_are_wrong() -> None:
    assert try_kernel("flash", lambda q, k, v: q * float("nan"), *three()).seconds == float("inf")


def test_a_kernel_that_refuses_is_left_out() -> None:
    def refuses(*_: Tensor) -> Tensor:
        raise RuntimeError("No available kernel. Aborting execution.")

    assert try_kernel("cudnn", refuses, *three()).seconds == float("inf")


def test_every_kernel_there_may_be_is_right_or_refuses() -> None:
    assert {"torch", "cudnn", "flash"} <= find_attention_kernels().keys()
    assert find_fastest_kernel((40, 70, 2, 16), torch.float32, CPU).seconds < float("inf")
    assert choose_attention_kernel("auto", (40, 70, 2, 16), torch.zeros(0)) is torch_attention


def fp8_attention(q: Tensor, k: Tensor, v: Tensor, k_scale: Tensor, v_scale: Tensor) -> Tensor:
    """What an FP8 kernel computes: queries and the softmax are rounded too, sums are float32."""
    narrow, q_scale = quantise_queries(q)
    q, k, v, *scales = (x.float().transpose(1, 2) for x in (narrow, k, v, q_scale, k_scale, v_scale))
    scores = (q @ k.transpose(2, 3)) * (scales[0] * scales[1]) / q.shape[-1] ** 0.5
    weights = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    seen: Tensor = weights.to(FP8_DTYPE).float() @ v * scales[2] / weights.sum(dim=-1, keepdim=True)
    return seen.transpose(1, 2)


@pytest.mark.parametrize("keys", [70, 1000])
def test_the_error_of_fp8_attention_is_what_the_manual_says(keys: int) -> None:
    q, k, v = three(keys=keys)
    scales = compute_head_scale(k), compute_head_scale(v)
    expected = torch_attention(q, k, v)
    actual = fp8_attention(q, values_to_fp8(k, scales[0]), values_to_fp8(v, scales[1]), *scales)
    assert 0.01 < (actual - expected).norm() / expected.norm() < 0.07

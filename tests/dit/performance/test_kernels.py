import pytest
import torch
from torch import Tensor

from liveavatar.dit.model.attention import torch_attention
from liveavatar.dit.performance.kernels import (
    attention_shapes,
    choose_attention_kernel,
    find_attention_kernels,
    find_fastest_kernel,
    quantise_queries,
    time_pass,
    try_kernel,
)
from liveavatar.dit.plan.config import DitConfig, StreamConfig
from liveavatar.dit.streaming.kv_ops import FP8_DTYPE, compute_head_scale, values_to_fp8

CPU = torch.device("cpu")
CONFIG = DitConfig(dim=32, heads=2, layers=2, inject=(0,), text_len=16)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_inputs(queries: int = 40, keys: int = 70) -> tuple[Tensor, Tensor, Tensor]:
    return normal(1, queries, 2, 16), normal(1, keys, 2, 16, seed=1), normal(1, keys, 2, 16, seed=2)


def test_a_correct_kernel_is_timed() -> None:
    assert 0 < try_kernel("torch", torch_attention, *random_inputs()).seconds < float("inf")


def test_a_wrong_kernel_is_never_the_fastest() -> None:
    assert try_kernel(
        "flash", lambda q, k, v: 1.1 * torch_attention(q, k, v), *random_inputs()
    ).seconds == float("inf")


def test_nan_is_wrong() -> None:
    assert try_kernel("flash", lambda q, k, v: q * float("nan"), *random_inputs()).seconds == float("inf")


def test_a_kernel_that_raises_is_left_out() -> None:
    def raise_error(*_: Tensor) -> Tensor:
        raise RuntimeError("No available kernel. Aborting execution.")

    assert try_kernel("cudnn", raise_error, *random_inputs()).seconds == float("inf")


def test_every_kernel_is_correct_or_raises() -> None:
    assert {"torch", "cudnn", "flash"} <= find_attention_kernels().keys()
    shapes = attention_shapes(CONFIG, StreamConfig(), frame_tokens=40)
    assert find_fastest_kernel(shapes, torch.float32, CPU).seconds < float("inf")
    assert choose_attention_kernel("auto", CONFIG, torch.zeros(0)) is torch_attention


def test_kernels_are_tried_at_every_shape_of_a_pass() -> None:
    """At 704x384: 3,168 queries; 15,312 keys in the cache, 512 of text, 5 of audio for each latent frame."""
    assert attention_shapes(DitConfig(), StreamConfig()) == (
        (1, 3168, 15312, 40, 128, 40),
        (1, 3168, 512, 40, 128, 40),
        (3, 1056, 5, 40, 128, 12),
    )


def test_a_kernel_that_fails_at_one_shape_fails() -> None:
    def refuses_few_keys(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if k.shape[1] < 8:
            raise RuntimeError("too few keys")
        return torch_attention(q, k, v)

    shapes = attention_shapes(CONFIG, StreamConfig(), frame_tokens=40)
    assert time_pass("cudnn", refuses_few_keys, shapes, torch.float32, CPU) == float("inf")


def fp8_attention(q: Tensor, k: Tensor, v: Tensor, k_scale: Tensor, v_scale: Tensor) -> Tensor:
    """What an FP8 kernel computes: queries and the softmax are rounded too, sums are float32."""
    narrow, q_scale = quantise_queries(q)
    q, k, v, *scales = (x.float().transpose(1, 2) for x in (narrow, k, v, q_scale, k_scale, v_scale))
    scores = (q @ k.transpose(2, 3)) * (scales[0] * scales[1]) / q.shape[-1] ** 0.5
    weights = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    attended: Tensor = weights.to(FP8_DTYPE).float() @ v * scales[2] / weights.sum(dim=-1, keepdim=True)
    return attended.transpose(1, 2)


@pytest.mark.parametrize("keys", [70, 1000])
def test_the_error_of_fp8_attention_is_that_of_the_docs(keys: int) -> None:
    q, k, v = random_inputs(keys=keys)
    scales = compute_head_scale(k), compute_head_scale(v)
    expected = torch_attention(q, k, v)
    actual = fp8_attention(q, values_to_fp8(k, scales[0]), values_to_fp8(v, scales[1]), *scales)
    assert 0.01 < (actual - expected).norm() / expected.norm() < 0.07

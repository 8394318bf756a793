from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import Rope
from liveavatar.dit.streaming.host_kv_cache import HostKVCache
from liveavatar.dit.streaming.kv_cache import RingKVCache, RingShape


def ring_shape(steps: int, layers: int, blocks: int = 3) -> RingShape:
    return RingShape(
        layers=layers,
        steps=steps,
        blocks=blocks,
        block_tokens=6,
        sink_tokens=5,
        portrait_tokens=2,
        heads=2,
        head_dim=4,
    )


def rope(count: int, speed: float = 1.0) -> Rope:
    angles = speed * torch.arange(count * 2).view(count, 2)
    return Rope(angles.cos(), angles.sin())


def random_sink(shape: RingShape, seed: int = 1) -> list[KeyValue]:
    generator = torch.Generator().manual_seed(seed)
    size = (1, shape.sink_tokens, shape.heads, shape.head_dim)
    return [KeyValue(*(torch.randn(size, generator=generator) for _ in "kv")) for _ in range(shape.layers)]


def run(cache: RingKVCache | HostKVCache, blocks: list[int], *, upto: int | None = None) -> list[Tensor]:
    """Outputs of every layer and step of these blocks; `upto` stops after so many layers."""
    outputs: list[Tensor] = []
    shape = cache.shape
    for block in blocks:
        generator = torch.Generator().manual_seed(block)
        cache.move_portrait(rope(shape.portrait_tokens, block))
        for step in range(shape.steps):
            for layer in cache.prepare_layers(step, block):
                if len(outputs) == upto:
                    return outputs
                q, k, v = torch.randn(
                    3, 1, shape.block_tokens, shape.heads, shape.head_dim, generator=generator
                )
                outputs.append(layer.attend(q, k, v))
    return outputs


def filled(kind: type[RingKVCache] | type[HostKVCache], shape: RingShape) -> RingKVCache | HostKVCache:
    cache = kind(shape, torch.zeros(0))
    cache.set_sink(random_sink(shape), rope(shape.sink_tokens))
    return cache


class HostAllocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that are made in host memory."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes: int = 0

    def __torch_dispatch__(
        self, func: Callable[..., object], types: object, args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:  # fmt: skip
        """Count the output."""
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.device.type == "cpu":
            self.bytes += out.nbytes
        return out


def count_host_bytes(shape: RingShape, storage_dtype: torch.dtype | None = None) -> int:
    """Host memory of a cache whose device is "meta"."""
    with HostAllocations() as allocations:
        HostKVCache(shape, torch.zeros(0, device="meta"), storage_dtype)
    return int(allocations.bytes)


@pytest.mark.parametrize(("steps", "layers"), [(4, 4), (3, 3), (1, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("blocks", [[0, 1, 2, 3, 4], [0, 1, 1, 2, 3, 3, 3, 4]])
def test_host_and_device_caches_attend_alike(steps: int, layers: int, blocks: list[int]) -> None:
    shape = ring_shape(steps, layers)
    device, host = filled(RingKVCache, shape), filled(HostKVCache, shape)
    for expected, actual in zip(run(device, blocks), run(host, blocks), strict=True):
        assert torch.equal(expected, actual)


@pytest.mark.parametrize("layers", [1, 5, 7])
def test_an_interrupted_block_leaves_nothing_behind(layers: int) -> None:
    shape = ring_shape(2, 4)
    device, host = filled(RingKVCache, shape), filled(HostKVCache, shape)
    for cache in (device, host):
        run(cache, [0, 1, 2])
        run(cache, [3], upto=layers)
    for expected, actual in zip(run(device, [3, 4]), run(host, [3, 4]), strict=True):
        assert torch.equal(expected, actual)


def test_a_new_sink_is_used_at_once() -> None:
    shape = ring_shape(2, 2)
    device, host = filled(RingKVCache, shape), filled(HostKVCache, shape)
    for cache in (device, host):
        run(cache, [0, 1])
        cache.set_sink(random_sink(shape, seed=9), rope(shape.sink_tokens))
    for expected, actual in zip(run(device, [2]), run(host, [2]), strict=True):
        assert torch.equal(expected, actual)


def test_the_device_holds_the_sink_and_two_layers() -> None:
    shape, token_bytes = ring_shape(4, 40, blocks=4), 2 * 2 * 4 * 4  # keys and values, 2 heads of 4, float32
    cache = HostKVCache(shape, torch.zeros(0))
    assert cache.bytes == (40 * shape.sink_tokens + 2 * (shape.sink_tokens + shape.ring_tokens)) * token_bytes
    assert count_host_bytes(shape) == 4 * 40 * shape.ring_tokens * token_bytes


def test_fp8_is_that_of_the_device_cache_at_a_quarter_of_float32() -> None:
    shape = ring_shape(2, 2)
    caches = [kind(shape, torch.zeros(0), torch.float8_e4m3fn) for kind in (RingKVCache, HostKVCache)]
    for cache in caches:
        cache.set_sink(random_sink(shape), rope(shape.sink_tokens))
    device, host = (run(cache, [0, 1, 2, 3]) for cache in caches)
    float32 = run(filled(HostKVCache, shape), [0, 1, 2, 3])
    for expected, actual, exact in zip(device, host, float32, strict=True):
        assert torch.equal(expected, actual)
        assert 0 < (actual - exact).norm() < 0.08 * exact.norm()
    assert 4 * count_host_bytes(shape, torch.float8_e4m3fn) == count_host_bytes(shape)

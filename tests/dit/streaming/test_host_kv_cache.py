import pytest
import torch
from torch import Tensor

from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import Rope
from liveavatar.dit.streaming.host_kv_cache import HostKVCache
from liveavatar.dit.streaming.kv_cache import RingKVCache, RingShape


def shape(steps: int, layers: int, blocks: int = 3) -> RingShape:
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


def turning(count: int, by: float = 1.0) -> Rope:
    angles = by * torch.arange(count * 2).view(count, 2)
    return Rope(angles.cos(), angles.sin())


def sink(of: RingShape, seed: int = 1) -> list[KeyValue]:
    generator = torch.Generator().manual_seed(seed)
    size = (1, of.sink_tokens, of.heads, of.head_dim)
    return [KeyValue(*(torch.randn(size, generator=generator) for _ in "kv")) for _ in range(of.layers)]


def run(rings: RingKVCache | HostKVCache, numbers: list[int], *, upto: int | None = None) -> list[Tensor]:
    """All that is seen while blocks of these numbers are drawn; `upto` breaks off after so many layers."""
    seen: list[Tensor] = []
    of = rings.shape
    for number in numbers:
        generator = torch.Generator().manual_seed(number)
        rings.move_portrait(turning(of.portrait_tokens, number))
        for step in range(of.steps):
            for layer in rings.prepare_layers(step, number):
                if len(seen) == upto:
                    return seen
                q, k, v = torch.randn(3, 1, of.block_tokens, of.heads, of.head_dim, generator=generator)
                seen.append(layer.attend(q, k, v))
    return seen


def filled(kind: type[RingKVCache] | type[HostKVCache], of: RingShape) -> RingKVCache | HostKVCache:
    rings = kind(of, torch.zeros(0))
    rings.set_sink(sink(of), turning(of.sink_tokens))
    return rings


@pytest.mark.parametrize(("steps", "layers"), [(4, 4), (3, 3), (1, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("numbers", [[0, 1, 2, 3, 4], [0, 1, 1, 2, 3, 3, 3, 4]])
def test_host_memory_shows_what_device_memory_shows(steps: int, layers: int, numbers: list[int]) -> None:
    of = shape(steps, layers)
    near, far = filled(RingKVCache, of), filled(HostKVCache, of)
    for expected, actual in zip(run(near, numbers), run(far, numbers), strict=True):
        assert torch.equal(expected, actual)


@pytest.mark.parametrize("layers_drawn", [1, 5, 7])
def test_a_drawing_that_broke_off_leaves_nothing_behind(layers_drawn: int) -> None:
    of = shape(2, 4)
    near, far = filled(RingKVCache, of), filled(HostKVCache, of)
    for rings in (near, far):
        run(rings, [0, 1, 2])
        run(rings, [3], upto=layers_drawn)
    for expected, actual in zip(run(near, [3, 4]), run(far, [3, 4]), strict=True):
        assert torch.equal(expected, actual)


def test_a_new_sink_is_seen_at_once() -> None:
    of = shape(2, 2)
    near, far = filled(RingKVCache, of), filled(HostKVCache, of)
    for rings in (near, far):
        run(rings, [0, 1])
        rings.set_sink(sink(of, seed=9), turning(of.sink_tokens))
    for expected, actual in zip(run(near, [2]), run(far, [2]), strict=True):
        assert torch.equal(expected, actual)


def test_the_device_holds_the_sink_and_two_layers() -> None:
    of, whole = shape(4, 40, blocks=4), 2 * 2 * 4 * 4  # bytes of keys and values of a token
    rings = HostKVCache(of, torch.zeros(0))
    assert rings.bytes == (40 * of.sink_tokens + 2 * (of.sink_tokens + of.ring_tokens)) * whole
    assert rings.host_bytes == 4 * 40 * of.ring_tokens * whole


def test_eight_bits_are_those_of_device_memory_at_a_quarter_of_float32() -> None:
    of = shape(2, 2)
    rings = [kind(of, torch.zeros(0), torch.float8_e4m3fn) for kind in (RingKVCache, HostKVCache)]
    for one in rings:
        one.set_sink(sink(of), turning(of.sink_tokens))
    near, far = (run(one, [0, 1, 2, 3]) for one in rings)
    wide = filled(HostKVCache, of)
    for expected, actual, exact in zip(near, far, run(wide, [0, 1, 2, 3]), strict=True):
        assert torch.equal(expected, actual)
        assert 0 < (actual - exact).norm() < 0.08 * exact.norm()
    assert isinstance(wide, HostKVCache)
    assert isinstance(rings[1], HostKVCache)
    assert 4 * rings[1].host_bytes == wide.host_bytes

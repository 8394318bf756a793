import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.performance.offload import (
    BlockSwapper,
    HostResidentLayer,
    choose_spread_layers,
    offload_text_layers,
    split_powers_of_two,
)
from liveavatar.dit.performance.quantise import WeightFormat, quantise_linears
from small_dit import golden, small_dit
from small_stream import drawn

CPU = torch.device("cpu")
DATA = golden("dit_kv")


def streamed(dit: DiT, layers: list[int], buffers: int = 2) -> BlockSwapper:
    carousel = BlockSwapper(CPU, buffers)
    for layer in layers:
        offload_text_layers(dit.blocks[layer])
        dit.blocks[layer] = carousel.add(dit.blocks[layer])
    return carousel


@pytest.mark.parametrize("kind", ["bf16", "fp8", "int8"])
@pytest.mark.parametrize("layers", [[0], [1, 2], [0, 1, 2]])
@pytest.mark.parametrize("buffers", [1, 2, 3])
def test_streamed_blocks_draw_the_same_bits(kind: WeightFormat, layers: list[int], buffers: int) -> None:
    resident = quantise_linears(small_dit(), kind)
    moved = copy.deepcopy(resident)
    assert isinstance(resident, DiT)
    assert isinstance(moved, DiT)
    streamed(moved, layers, buffers)
    for expected, actual in zip(drawn(resident), drawn(moved), strict=True):
        assert torch.equal(expected, actual)


def test_blocks_on_one_buffer_share_its_memory() -> None:
    dit = small_dit()
    before = sum(weight.nbytes for weight in dit.blocks.parameters())
    carousel = streamed(dit, [0, 1, 2])
    distinct = {
        weight.untyped_storage().data_ptr(): weight.untyped_storage().nbytes()
        for weight in dit.blocks.parameters()
    }
    assert sum(distinct.values()) < before * 0.75
    assert carousel.bytes == 2 * max(distinct.values())


def test_a_pass_that_broke_off_is_begun_anew() -> None:
    dit, expected = small_dit(), drawn(small_dit())
    streamed(dit, [0, 1, 2])
    broken = dit.blocks[1].block.ffn.register_forward_pre_hook(_fail)  # type: ignore[union-attr]
    with pytest.raises(torch.OutOfMemoryError):
        drawn(dit)
    broken.remove()
    for was, now in zip(expected, drawn(dit), strict=True):
        assert torch.equal(was, now)


def _fail(*_: object) -> None:
    raise torch.OutOfMemoryError("no memory left")


def test_blocks_may_be_called_in_any_order() -> None:
    layers = [nn.Linear(8, 8) for _ in range(4)]
    x, carousel = torch.ones(1, 8), BlockSwapper(CPU)
    expected = [layer(x) for layer in layers]
    moved = [carousel.add(nn.Sequential(layer)) for layer in layers]
    for index in (3, 1, 1, 0, 2, 0):
        assert torch.equal(moved[index](x), expected[index])


def test_blocks_of_different_size_are_refused() -> None:
    carousel = BlockSwapper(CPU, 1)
    carousel.add(nn.Sequential(nn.Linear(8, 8)))
    with pytest.raises(ValueError, match="cannot share"):
        carousel.add(nn.Sequential(nn.Linear(16, 16)))


def test_a_parked_layer_computes_the_same_and_is_no_part_of_the_model() -> None:
    layer, x = nn.Linear(6, 5), torch.ones(2, 6)
    parked = HostResidentLayer(layer)
    assert torch.equal(parked(x), layer(x))
    assert not list(parked.parameters())


def test_what_is_needed_once_a_prompt_is_parked() -> None:
    dit, expected = small_dit(), small_dit().project_text(DATA["context"])
    for block in dit.blocks:
        offload_text_layers(block)
        offload_text_layers(block)
    assert not any(".cross_attn.k." in name or ".cross_attn.v." in name for name in dit.state_dict())
    for was, now in zip(expected, dit.project_text(DATA["context"]), strict=True):
        assert torch.equal(was.k, now.k)
        assert torch.equal(was.v, now.v)


@given(st.integers(0, 1 << 34))
def test_powers_of_two_hold_a_run_with_little_waste(count: int) -> None:
    sizes = split_powers_of_two(count)
    assert 0 <= sum(sizes) - count < 1 << 20
    assert all(size & (size - 1) == 0 for size in sizes)


@pytest.mark.parametrize("count", [0, 1, 7, 20, 40])
def test_streamed_layers_are_spread(count: int) -> None:
    layers = choose_spread_layers(count, 40)
    assert len(set(layers)) == count
    gaps = [later - sooner for sooner, later in pairwise(layers)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert all(0 <= layer < 40 for layer in layers)

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
from small_stream import run_stream

CPU = torch.device("cpu")
DATA = golden("dit_kv")


def offload_layers(dit: DiT, layers: list[int], buffers: int = 2) -> BlockSwapper:
    swapper = BlockSwapper(CPU, buffers)
    for layer in layers:
        offload_text_layers(dit.blocks[layer])
        dit.blocks[layer] = swapper.add(dit.blocks[layer])
    return swapper


@pytest.mark.parametrize("kind", ["bf16", "fp8", "int8"])
@pytest.mark.parametrize("layers", [[0], [1, 2], [0, 1, 2]])
@pytest.mark.parametrize("buffers", [1, 2, 3])
def test_offloaded_blocks_give_the_same_bits(kind: WeightFormat, layers: list[int], buffers: int) -> None:
    resident = quantise_linears(small_dit(), kind)
    offloaded = copy.deepcopy(resident)
    assert isinstance(resident, DiT)
    assert isinstance(offloaded, DiT)
    offload_layers(offloaded, layers, buffers)
    for expected, actual in zip(run_stream(resident), run_stream(offloaded), strict=True):
        assert torch.equal(expected, actual)


def test_blocks_of_one_buffer_share_its_memory() -> None:
    dit = small_dit()
    before = sum(weight.nbytes for weight in dit.blocks.parameters())
    swapper = offload_layers(dit, [0, 1, 2])
    distinct = {
        weight.untyped_storage().data_ptr(): weight.untyped_storage().nbytes()
        for weight in dit.blocks.parameters()
    }
    assert sum(distinct.values()) < before * 0.75
    assert swapper.bytes == 2 * max(distinct.values())


def test_a_pass_can_follow_one_that_failed() -> None:
    dit, expected = small_dit(), run_stream(small_dit())
    offload_layers(dit, [0, 1, 2])
    broken = dit.blocks[1].block.ffn.register_forward_pre_hook(_fail)  # type: ignore[union-attr]
    with pytest.raises(torch.OutOfMemoryError):
        run_stream(dit)
    broken.remove()
    for old, new in zip(expected, run_stream(dit), strict=True):
        assert torch.equal(old, new)


def _fail(*_: object) -> None:
    raise torch.OutOfMemoryError("no memory left")


def test_blocks_may_be_called_in_any_order() -> None:
    layers = [nn.Linear(8, 8) for _ in range(4)]
    x, swapper = torch.ones(1, 8), BlockSwapper(CPU)
    expected = [layer(x) for layer in layers]
    offloaded = [swapper.add(nn.Sequential(layer)) for layer in layers]
    for index in (3, 1, 1, 0, 2, 0):
        assert torch.equal(offloaded[index](x), expected[index])


def test_blocks_of_different_size_are_refused() -> None:
    swapper = BlockSwapper(CPU, 1)
    swapper.add(nn.Sequential(nn.Linear(8, 8)))
    with pytest.raises(ValueError, match="cannot share"):
        swapper.add(nn.Sequential(nn.Linear(16, 16)))


def test_a_host_resident_layer_computes_the_same_and_has_no_parameters() -> None:
    layer, x = nn.Linear(6, 5), torch.ones(2, 6)
    resident = HostResidentLayer(layer)
    assert torch.equal(resident(x), layer(x))
    assert not list(resident.parameters())


def test_text_projections_are_offloaded() -> None:
    dit, expected = small_dit(), small_dit().project_text(DATA["context"])
    for block in dit.blocks:
        offload_text_layers(block)
        offload_text_layers(block)
    assert not any(".cross_attn.k." in name or ".cross_attn.v." in name for name in dit.state_dict())
    for old, new in zip(expected, dit.project_text(DATA["context"]), strict=True):
        assert torch.equal(old.k, new.k)
        assert torch.equal(old.v, new.v)


@given(st.integers(0, 1 << 34))
def test_powers_of_two_hold_any_size_with_little_waste(count: int) -> None:
    sizes = split_powers_of_two(count)
    assert 0 <= sum(sizes) - count < 1 << 20
    assert all(size & (size - 1) == 0 for size in sizes)


@pytest.mark.parametrize("count", [0, 1, 7, 20, 40])
def test_offloaded_layers_are_spread_evenly(count: int) -> None:
    layers = choose_spread_layers(count, 40)
    assert len(set(layers)) == count
    gaps = [later - sooner for sooner, later in pairwise(layers)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert all(0 <= layer < 40 for layer in layers)

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from liveavatar.dit.checkpoint.load import KeyMismatchError
from liveavatar.dit.checkpoint.lora import (
    check_lora_pairs,
    find_lora_layers,
    merge_lora_pairs,
    read_lora_pairs,
)
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.performance.assembly import iterate_parts
from liveavatar.dit.plan.config import DitConfig
from small_dit import golden, max_error, small_dit

ALPHA = 4.0


@pytest.fixture
def adapters() -> dict[str, Tensor]:
    return {name[5:]: value for name, value in golden("lora").items() if name.startswith("lora.")}


def merge(model: DiT, adapters: dict[str, Tensor]) -> None:
    merge_lora_pairs(model, "", check_lora_pairs(model, adapters, source="golden"), ALPHA)


def test_merged_weights_are_those_of_the_reference(adapters: dict[str, Tensor]) -> None:
    model = small_dit()
    merge(model, adapters)
    weights = model.state_dict()
    expected = {name[7:]: value for name, value in golden("lora").items() if name.startswith("merged.")}
    assert expected
    for name, value in expected.items():
        assert max_error(weights[name], value) < 1e-6


def test_reads_a_file_with_the_plain_names_of_the_release(
    adapters: dict[str, Tensor], tmp_path: Path
) -> None:
    plain = {n.removeprefix("base_model.model.").replace(".default", ""): v for n, v in adapters.items()}
    save_file(plain, tmp_path / "lora.safetensors")
    whole, read = small_dit(), small_dit()
    merge(whole, adapters)
    merge_lora_pairs(read, "", read_lora_pairs(read, tmp_path / "lora.safetensors"), ALPHA)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), read.parameters(), strict=True))


def test_a_half_precision_weight_is_rounded_once(adapters: dict[str, Tensor]) -> None:
    model = small_dit().bfloat16()
    before = model.state_dict()["blocks.0.ffn.0.weight"].float()
    merge(model, adapters)
    down, up = (adapters[f"base_model.model.blocks.0.ffn.0.lora_{side}.default.weight"] for side in "AB")
    expected = (before + 0.5 * up @ down).bfloat16()
    assert torch.equal(model.state_dict()["blocks.0.ffn.0.weight"], expected)


def test_everything_that_does_not_fit_is_named_and_nothing_changed(adapters: dict[str, Tensor]) -> None:
    model = small_dit()
    before = model.state_dict()["blocks.1.self_attn.q.weight"].clone()
    del adapters["base_model.model.blocks.0.self_attn.q.lora_A.default.weight"]
    adapters["base_model.model.blocks.9.self_attn.q.lora_A.default.weight"] = torch.zeros(8, 64)
    adapters["scale"] = torch.zeros(1)
    adapters["base_model.model.blocks.2.ffn.2.lora_B.default.weight"] = torch.zeros(8, 64)
    with pytest.raises(KeyMismatchError) as caught:
        merge(model, adapters)
    assert caught.value.missing == ["blocks.0.self_attn.q.lora_A"]
    assert caught.value.unexpected == ["blocks.9.self_attn.q.lora_A", "scale"]
    assert caught.value.misshapen == ["blocks.2.ffn.2"]
    assert torch.equal(model.state_dict()["blocks.1.self_attn.q.weight"], before)


def test_part_by_part_is_the_same_as_at_once(adapters: dict[str, Tensor]) -> None:
    whole, apart = small_dit(), small_dit()
    merge(whole, adapters)
    pairs = check_lora_pairs(apart, adapters, source="golden")
    for name, part in iterate_parts(apart):
        merge_lora_pairs(part, name, pairs, ALPHA)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), apart.parameters(), strict=True))


def test_the_full_size_takes_the_448_adapters_of_the_release() -> None:
    with torch.device("meta"):
        model = DiT(DitConfig())
    assert len(find_lora_layers(model)) == 448

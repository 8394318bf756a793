import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from drawn import SEEDS, draw
from liveavatar.dit.checkpoint.load import KeyMismatchError, Placement
from liveavatar.dit.checkpoint.lora import find_lora_layers
from liveavatar.dit.loader import (
    choose_cache_factory,
    choose_layout,
    find_device,
    make_random_filler,
    open_models,
    open_transformer,
)
from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.performance.assembly import (
    TransformerLayout,
    assemble_transformer,
    count_offloaded_blocks,
    offload_blocks,
)
from liveavatar.dit.plan.memory import MEMORY_PROFILES, MemoryPlan, MemoryProfile, Workload
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.presets import TINY_PRESET
from liveavatar.dit.streaming.host_kv_cache import HostSink
from liveavatar.errors import EngineError, WeightsError
from small_dit import golden_metadata, small_config, small_dit
from small_stream import relative_error, run_stream

CPU = Placement(device="cpu", dtype=torch.float32)
PLAIN = TransformerLayout(device=torch.device("cpu"), fused_qkv=False)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder laid out like the official one: a config, an index and two shards in bfloat16."""
    shapes = {name: value.shape for name, value in small_dit().state_dict().items()}
    weights = {name: value.bfloat16() for name, value in draw(shapes, SEEDS["dit_kv"]).items()}
    files = {name: f"diffusion_pytorch_model-{index % 2}.safetensors" for index, name in enumerate(weights)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in weights if files[name] == file}, tmp_path / file)
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": files}))
    (tmp_path / "config.json").write_text(json.dumps(golden_metadata("dit_kv")["cfg"]))
    return tmp_path


def adapters(rank: int = 2) -> dict[str, Tensor]:
    tensors = {}
    for name, layer in find_lora_layers(small_dit()).items():
        tensors[f"{name}.lora_A.weight"] = torch.ones(rank, layer.in_features)
        tensors[f"{name}.lora_B.weight"] = torch.ones(layer.out_features, rank)
    return tensors


def test_a_checkpoint_is_loaded_and_its_adapters_merged(checkpoint: Path) -> None:
    save_file(adapters(), checkpoint / "lora.safetensors")
    model = open_transformer(checkpoint, checkpoint / "lora.safetensors", CPU, PLAIN)
    assert model.config == small_config()
    plain, merged = small_dit().bfloat16().float().state_dict(), model.state_dict()
    name = "blocks.1.self_attn.q.weight"
    torch.testing.assert_close(
        merged[name], plain[name] + 64.0
    )  # alpha 64 over rank 2, times the 2 of 1·1 + 1·1
    assert torch.equal(merged["head.head.weight"], plain["head.head.weight"])


def test_a_missing_adapter_is_listed(checkpoint: Path) -> None:
    held = adapters()
    del held["blocks.0.ffn.2.lora_A.weight"]
    save_file(held, checkpoint / "lora.safetensors")
    with pytest.raises(KeyMismatchError, match=r"blocks\.0\.ffn\.2\.lora_A"):
        open_transformer(checkpoint, checkpoint / "lora.safetensors", CPU, PLAIN)


def test_missing_files_are_listed_with_the_command_that_fetches_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="liveavatar weights fetch live-avatar"):
        open_models(DitOptions(folder=tmp_path, device="cpu"))


@pytest.mark.slow
def test_the_tiny_preset_opens_without_any_file() -> None:
    models = open_models(DitOptions(preset="tiny"))
    assert models.dit.config == TINY_PRESET.dit
    assert models.prompt_embedding.shape[1] == TINY_PRESET.dit.text_dim
    assert not any(weight.requires_grad for weight in models.dit.parameters())


def test_a_device_that_does_not_exist_is_refused() -> None:
    with pytest.raises(EngineError, match="no device 'nonsense'"):
        find_device("nonsense")


def draw_latents(profile: MemoryProfile) -> list[Tensor]:
    """A few blocks of one model, laid out as on this profile."""
    with torch.device("meta"):
        dit = DiT(small_config())
    layout = choose_layout(
        MemoryPlan(
            profile=profile,
            offloaded_blocks=min(profile.max_offloaded_blocks, 2),
            estimate=Workload().estimate_memory(profile, 0),
        ),
        PLAIN.device,
    )
    return run_stream(
        assemble_transformer(dit, make_random_filler(CPU), layout), make_cache=choose_cache_factory(profile)
    )


@pytest.mark.slow
def test_every_profile_draws_nearly_the_same() -> None:
    exact, *others = (draw_latents(profile) for profile in MEMORY_PROFILES)
    for profile, actual in zip(MEMORY_PROFILES[1:], others, strict=True):
        assert 0 < relative_error(actual, exact) < 0.1, profile.name
    assert all(
        torch.equal(a, b) for a, b in zip(others[1], others[2], strict=True)
    )  # 48 and 24: where, not what


def test_the_sink_of_a_small_profile_lies_in_host_memory() -> None:
    sink = HostSink([KeyValue(torch.full((1, 2), float(layer)), torch.ones(1, 2)) for layer in range(3)])
    assert len(sink) == 3
    assert [float(part.k[0, 0]) for part in sink] == [0, 1, 2]
    assert [float(part.k[0, 0]) for part in sink[1:]] == [1, 2]


@pytest.mark.slow
def test_a_small_profile_offloads_half_the_blocks() -> None:
    models = open_models(DitOptions(preset="tiny", memory="16"))
    assert count_offloaded_blocks(models.dit) == TINY_PRESET.dit.layers // 2
    assert models.plan.profile.name == "16"


def test_offloading_more_blocks_changes_no_bit(checkpoint: Path) -> None:
    save_file(adapters(), checkpoint / "lora.safetensors")
    dits = [
        open_transformer(
            checkpoint,
            checkpoint / "lora.safetensors",
            CPU,
            replace(PLAIN, fused_qkv=True, offloaded_blocks=1),
        )
        for _ in range(2)
    ]
    offload_blocks(dits[1], 2, torch.device("cpu"))
    assert [count_offloaded_blocks(dit) for dit in dits] == [1, 3]
    few, many = (run_stream(dit) for dit in dits)
    assert all(torch.equal(a, b) for a, b in zip(few, many, strict=True))

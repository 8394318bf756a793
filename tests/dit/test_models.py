import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from drawn import SEEDS, draw
from liveavatar.dit.loading import KeyMismatchError
from liveavatar.dit.lora import targets
from liveavatar.dit.models import find_device, open_dit, open_models
from liveavatar.dit.options import DitOptions
from liveavatar.dit.parts import Place
from liveavatar.dit.presets import TINY
from liveavatar.errors import EngineError, WeightsError
from small_dit import notes, small_config, small_dit

CPU = Place(device="cpu", dtype=torch.float32)


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
    (tmp_path / "config.json").write_text(json.dumps(notes("dit_kv")["cfg"]))
    return tmp_path


def adapters(rank: int = 2) -> dict[str, Tensor]:
    made = {}
    for name, layer in targets(small_dit()).items():
        made[f"{name}.lora_A.weight"] = torch.ones(rank, layer.in_features)
        made[f"{name}.lora_B.weight"] = torch.ones(layer.out_features, rank)
    return made


def test_a_checkpoint_is_loaded_and_its_adapters_merged(checkpoint: Path) -> None:
    save_file(adapters(), checkpoint / "lora.safetensors")
    model = open_dit(checkpoint, checkpoint / "lora.safetensors", CPU)
    assert model.config == small_config()
    plain, merged = small_dit().bfloat16().float().state_dict(), model.state_dict()
    name = "blocks.1.self_attn.q.weight"
    torch.testing.assert_close(
        merged[name], plain[name] + 64.0
    )  # alpha 64 over rank 2, times the 2 of 1·1 + 1·1
    assert torch.equal(merged["head.head.weight"], plain["head.head.weight"])


def test_a_missing_adapter_is_named(checkpoint: Path) -> None:
    held = adapters()
    del held["blocks.0.ffn.2.lora_A.weight"]
    save_file(held, checkpoint / "lora.safetensors")
    with pytest.raises(KeyMismatchError, match=r"blocks\.0\.ffn\.2\.lora_A"):
        open_dit(checkpoint, checkpoint / "lora.safetensors", CPU)


def test_missing_files_are_named_with_the_command_that_brings_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="liveavatar weights fetch live-avatar"):
        open_models(DitOptions(folder=tmp_path, device="cpu"))


def test_the_tiny_preset_opens_without_any_file() -> None:
    models = open_models(DitOptions(preset="tiny"))
    assert models.dit.config == TINY.dit
    assert models.prompt.shape[1] == TINY.dit.text_dim
    assert not any(weight.requires_grad for weight in models.dit.parameters())


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(EngineError, match="no device 'nonsense'"):
        find_device("nonsense")

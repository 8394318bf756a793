import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from drawn import draw
from liveavatar.dit.checkpoint import load
from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.plan.config import VAEConfig
from liveavatar.errors import WeightsError


def small() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return draw({name: tensor.shape for name, tensor in small().state_dict().items()}, seed=1)


def test_loads_shards_named_by_an_index(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    names = sorted(weights)
    files = {name: f"model-{index % 2}.safetensors" for index, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in names if files[name] == file}, tmp_path / file)
    index = {"weight_map": files}
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    module = small()
    load.load_checkpoint(module, load.find_shards(tmp_path))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in module.state_dict().items())
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_checkpoint_of_one_file_needs_no_index(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    save_file(weights, tmp_path / "diffusion_pytorch_model.safetensors")
    assert load.find_shards(tmp_path) == [tmp_path / "diffusion_pytorch_model.safetensors"]


@pytest.mark.parametrize("legacy", [False, True])
def test_loads_official_pth_files_strictly(tmp_path: Path, legacy: bool) -> None:
    with torch.device("meta"):
        vae = VAE(VAEConfig(width=6))
    weights = draw({name: tensor.shape for name, tensor in vae.state_dict().items()}, seed=1)
    torch.save(weights, tmp_path / "vae.pth", _use_new_zipfile_serialization=not legacy)
    load.load_checkpoint(vae, [tmp_path / "vae.pth"])
    assert all(torch.equal(tensor, weights[name]) for name, tensor in vae.state_dict().items())


def test_converts_numbers_but_not_indices(tmp_path: Path) -> None:
    with torch.device("meta"):
        module = nn.BatchNorm1d(2)
    held = {name: torch.ones(tensor.shape).to(tensor.dtype) for name, tensor in module.state_dict().items()}
    save_file(held, tmp_path / "norm.safetensors")
    load.load_checkpoint(module, [tmp_path / "norm.safetensors"], dtype=torch.bfloat16)
    dtypes = {name: tensor.dtype for name, tensor in module.state_dict().items()}
    assert dtypes["weight"] == torch.bfloat16
    assert dtypes["num_batches_tracked"] == torch.int64


def test_names_every_key_that_does_not_fit(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    del weights["0.bias"], weights["1.bias"]
    weights |= {"head.weight": torch.ones(1), "tail.weight": torch.ones(1), "0.weight": torch.ones(4, 4)}
    save_file(weights, tmp_path / "model.safetensors")
    module = small()
    with pytest.raises(load.KeyMismatchError) as raised:
        load.load_checkpoint(module, [tmp_path / "model.safetensors"])
    assert raised.value.missing == ["0.bias", "1.bias"]
    assert raised.value.unexpected == ["head.weight", "tail.weight"]
    assert raised.value.misshapen == ["0.weight [4, 4] for [4, 3]"]
    for name in ["0.bias", "1.bias", "head.weight", "tail.weight", "0.weight [4, 4] for [4, 3]"]:
        assert name in str(raised.value)
    assert all(parameter.is_meta for parameter in module.parameters())


def test_renames_and_leaves_out(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    stored = {f"model.{name}": tensor for name, tensor in weights.items()} | {"lm_head.weight": torch.ones(1)}
    save_file(stored, tmp_path / "model.safetensors")
    module = small()

    def rename(key: str) -> str | None:
        return None if key.startswith("lm_head") else key.removeprefix("model.")

    load.load_checkpoint(module, [tmp_path / "model.safetensors"], rename=rename)
    assert torch.equal(module.state_dict()["0.weight"], weights["0.weight"])


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_changing_a_loaded_weight_leaves_the_file_alone(
    tmp_path: Path, weights: dict[str, torch.Tensor], name: str
) -> None:
    path = tmp_path / name
    (save_file if path.suffix == ".safetensors" else torch.save)(weights, path)
    before, module = path.read_bytes(), small()
    load.load_checkpoint(module, [path])
    with torch.no_grad():
        module.get_parameter("0.weight").add_(1)
    assert torch.equal(module.get_parameter("0.weight"), weights["0.weight"] + 1)
    assert path.read_bytes() == before


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, ("sprung",))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.safetensors", b"not a checkpoint", "is damaged"),
        ("a.safetensors", b"", "is damaged"),
        ("a.pth", b"", "is damaged"),
        ("a.pth", pickle.dumps({"0.weight": Trap()}, protocol=2), "more than tensors"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=said):
        load.load_checkpoint(small(), [tmp_path / name])


def test_refuses_a_pth_file_that_holds_code(tmp_path: Path) -> None:
    torch.save({"0.weight": Trap()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="more than tensors"):
        load.load_checkpoint(small(), [tmp_path / "a.pth"])


def test_refuses_a_pth_file_that_is_no_table(tmp_path: Path) -> None:
    torch.save([torch.ones(1)], tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="not a table"):
        load.load_checkpoint(small(), [tmp_path / "a.pth"])


def test_says_which_shard_is_missing(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "one.safetensors").touch()
    with pytest.raises(WeightsError, match=r"two\.safetensors is missing"):
        load.find_shards(tmp_path)
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text("{")
    with pytest.raises(WeightsError, match="damaged"):
        load.find_shards(tmp_path)


MEASURE = """
import sys
from pathlib import Path
import torch
from torch import nn
from liveavatar.dit.checkpoint.load import load_checkpoint

def memory(kind):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


with torch.device("meta"):
    module = nn.Sequential(*[nn.Linear(1024, 1024, bias=False) for _ in range(64)])
before = memory("VmRSS")
load_checkpoint(module, sorted(Path(sys.argv[1]).glob("*.safetensors")), dtype=torch.float32)
touched = sum(float(parameter.sum()) for parameter in module.parameters())
print(memory("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_is_no_higher_than_the_model_even_when_converting(tmp_path: Path) -> None:
    """256 MiB of float32 out of 128 MiB of float16 in four shards; mapped pages of a shard count as memory here."""
    for shard in range(4):
        tensors = {f"{shard * 16 + i}.weight": torch.ones(1024, 1024, dtype=torch.float16) for i in range(16)}
        save_file(tensors, tmp_path / f"{shard}.safetensors")
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    model, shard_file = 256 * 2**20, 32 * 2**20
    assert model * 0.9 < grown < model + 2 * shard_file

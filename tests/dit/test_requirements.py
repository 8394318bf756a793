import subprocess
import sys
from pathlib import Path

import pytest
import torch

from liveavatar.dit.cache import Rings, RingShape
from liveavatar.dit.config import DitConfig, StreamConfig
from liveavatar.dit.memory import PARAMETERS, predict
from liveavatar.dit.model import DiT
from liveavatar.dit.options import DitOptions
from liveavatar.dit.requirements import gpu_memory, needed_memory, readiness


def script(folder: Path, text: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{text}\n")
    tool.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache and no programs."""
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_bare_machine_is_told_what_is_missing_and_how_to_get_it(machine: Path) -> None:
    state = readiness()
    assert not state.ready
    assert "NVIDIA card with" in state.reason
    assert "there is none here" in state.reason
    assert "GB of disk" in state.reason
    assert "liveavatar weights fetch live-avatar" in state.reason
    assert "\n" not in state.reason


def test_a_small_card_is_told_by_its_size(machine: Path) -> None:
    script(machine, "echo 'NVIDIA GeForce RTX 4090, 24564'")
    assert gpu_memory() == [("NVIDIA GeForce RTX 4090", 24564 << 20)]
    assert "the largest here has 26 GB" in readiness().reason


def test_a_large_card_will_do(machine: Path) -> None:
    script(machine, "echo 'NVIDIA H100, 81559'; echo 'NVIDIA H200, 143771'")
    assert "NVIDIA card" not in readiness().reason
    assert readiness(DitOptions(random_weights=True)).ready


@pytest.mark.parametrize("text", ["exit 9", "echo 'No devices were found'"])
def test_a_driver_without_a_card_is_no_card(machine: Path, text: str) -> None:
    script(machine, text)
    assert gpu_memory() == []


def test_the_tiny_one_runs_anywhere(machine: Path) -> None:
    assert readiness(DitOptions(preset="tiny")).ready


def test_looking_loads_no_torch() -> None:
    code = "import sys; from liveavatar.dit.requirements import readiness; readiness(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_memory_is_predicted_as_it_is_allocated() -> None:
    config, stream, tokens = DitConfig(), StreamConfig(), 44 * 24
    shape = RingShape(
        layers=config.layers, steps=4, blocks=4, block=3 * tokens, sink=tokens * 5 // 2, portrait=tokens,
        heads=config.heads, head_dim=config.head_dim,
    )  # fmt: skip
    rings = Rings(shape, like=torch.zeros(0, dtype=torch.bfloat16, device="meta"))
    predicted = predict(config, stream, (704, 384))
    kept_besides = 2 * tokens * 5 // 2 * 2 * config.layers * config.dim * 2
    assert predicted.rings + predicted.sink == rings.bytes + kept_besides
    with torch.device("meta"):
        model = DiT(config)
    assert sum(weight.numel() for weight in model.parameters()) == PARAMETERS
    assert 80e9 < needed_memory(DitOptions()) < 100e9


def test_fewer_steps_and_smaller_frames_take_less() -> None:
    config = DitConfig()
    usual = predict(config, StreamConfig(), (704, 384)).total
    assert predict(config, StreamConfig(steps=3), (704, 384)).total < usual
    assert predict(config, StreamConfig(), (512, 256)).total < usual
    assert predict(config, StreamConfig(), (704, 384), number=1).total < usual

import subprocess
import sys
from pathlib import Path

import pytest

from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.requirements import check_dit_readiness, free_host_memory, host_memory, list_gpus


def write_nvidia_smi(folder: Path, text: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{text}\n")
    tool.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache and no programs."""
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_bare_machine_lists_what_is_missing_and_how_to_get_it(machine: Path) -> None:
    state = check_dit_readiness()
    assert not state.ready
    assert "NVIDIA card with 16 GB" in state.reason
    assert "there is none here" in state.reason
    assert "GB of disk" in state.reason
    assert "liveavatar weights fetch live-avatar" in state.reason
    assert "\n" not in state.reason


def test_a_card_that_is_too_small_is_refused_with_figures(machine: Path) -> None:
    write_nvidia_smi(machine, "echo 'NVIDIA GeForce RTX 3060, 8192'")
    assert list_gpus() == [("NVIDIA GeForce RTX 3060", 8192 << 20)]
    assert (
        "too small: 8 GB of GPU memory are free"
        in check_dit_readiness(DitOptions(random_weights=True)).reason
    )


def test_a_named_profile_must_fit(machine: Path) -> None:
    write_nvidia_smi(machine, "echo 'NVIDIA GeForce RTX 4090, 24564'")
    assert check_dit_readiness(DitOptions(random_weights=True)).ready
    assert not check_dit_readiness(DitOptions(random_weights=True, memory="80")).ready


def test_a_large_card_is_ready(machine: Path) -> None:
    write_nvidia_smi(machine, "echo 'NVIDIA H100, 81559'; echo 'NVIDIA H200, 143771'")
    assert "NVIDIA card" not in check_dit_readiness().reason
    state = check_dit_readiness(DitOptions(random_weights=True))
    assert state.ready
    assert state.reason.startswith("memory 96: bfloat16")


@pytest.mark.parametrize("text", ["exit 9", "echo 'No devices were found'"])
def test_a_driver_without_a_card_lists_none(machine: Path, text: str) -> None:
    write_nvidia_smi(machine, text)
    assert list_gpus() == []


def test_the_tiny_preset_runs_anywhere(machine: Path) -> None:
    assert check_dit_readiness(DitOptions(preset="tiny")).ready


def test_checking_readiness_loads_no_torch() -> None:
    code = (
        "import sys; from liveavatar.dit.plan.requirements import check_dit_readiness; "
        "check_dit_readiness(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_machine_has_memory() -> None:
    assert 0 < free_host_memory() <= host_memory()

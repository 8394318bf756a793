"""The benchmark that is for a GPU runs here too, on the tiny model: its path, not its figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmarks.dit.errors import fp8_attention

from liveavatar.dit.model.attention import torch_attention
from liveavatar.dit.streaming.kv_ops import compute_head_scale, values_to_fp8

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_benchmark_runs_on_any_machine(tmp_path: Path) -> None:
    arguments = [
        "--tiny",
        "--device",
        "cpu",
        "--rungs",
        "80",
        "--speeds",
        "eager",
        "--steps",
        "1",
        "--blocks",
        "2",
        "-o",
    ]
    command = [sys.executable, "-m", "benchmarks.dit.speed", *arguments, str(tmp_path / "dit")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "dit.json").read_text())["rows"]
    assert row["rung"] == "80"
    assert 0 < row["latent_error"] < 0.1
    assert row["psnr"] > 20
    assert row["fps"] > 0
    assert (tmp_path / "dit.md").read_text().count("\n|") == 3


def test_attention_in_fp8_is_off_by_as_much_as_its_rounding() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, length, 4, 128, generator=generator) for length in (60, 200, 200))
    k_scale, v_scale = compute_head_scale(k), compute_head_scale(v)
    attended = fp8_attention(q, values_to_fp8(k, k_scale), values_to_fp8(v, v_scale), k_scale, v_scale)
    exact = torch_attention(q, k, v)
    assert 0.01 < (attended - exact).norm() / exact.norm() < 0.08


@pytest.mark.slow
def test_the_errors_of_all_savings_are_measured(tmp_path: Path) -> None:
    arguments = ["--layers", "1", "--blocks", "1", "--sharp", "2", "--side", "64", "-o"]
    command = [sys.executable, "-m", "benchmarks.dit.errors", *arguments, str(tmp_path / "errors.md")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in (tmp_path / "errors.md").read_text().splitlines()[2:]]
    errors = {name: float(cell.partition(",")[0]) for name, cell in rows}
    assert errors["wavefront"] < 1e-5 < errors["FP8 rings"] < errors["FP8 weights"] < 0.1
    assert errors["int8 weights"] < errors["FP8 weights"]

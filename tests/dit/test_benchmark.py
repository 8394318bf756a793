"""The benchmark that is for a GPU runs here too, on the tiny model: its path, not its figures."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmark_runs_on_any_machine(tmp_path: Path) -> None:
    words = [
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
    command = [sys.executable, "-m", "benchmarks.dit", *words, str(tmp_path / "dit")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "dit.json").read_text())["rows"]
    assert row["rung"] == "80"
    assert 0 < row["latent_error"] < 0.1
    assert row["psnr"] > 20
    assert row["fps"] > 0
    assert (tmp_path / "dit.md").read_text().count("\n|") == 3

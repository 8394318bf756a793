import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from liveavatar.cli.app import app

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache and no programs."""
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def asked(*words: str) -> Result:
    return RUNNER.invoke(app, ["doctor", *words])


def driver(folder: Path, text: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{text}'\n")
    tool.chmod(0o755)


def test_a_card_that_is_not_here_may_be_asked_about() -> None:
    told = asked("--gpu", "4090")
    assert told.exit_code == 0
    assert "RTX 4090, 24 GiB, asked about" in told.stdout
    assert "memory 24: weights in 8 bits" in told.stdout
    assert "pictures a second" in told.stdout
    assert "GB to fetch" in told.stdout


def test_the_same_for_machines() -> None:
    told = json.loads(asked("--gpu", "H100", "--json").stdout)
    assert told["engine"] == "dit"
    assert told["disk_needed"] > 40e9
    (card,) = told["cards"]
    assert card["rung"] == "80"
    assert card["gpu_bytes"] < card["memory"]
    assert 10 < card["fps"] < 25
    assert card["problem"] == ""


def test_without_a_card_it_says_so_and_what_to_ask() -> None:
    told = asked("--engine", "dit")
    assert told.exit_code == 1
    assert "no NVIDIA card here" in told.stdout
    assert "--gpu 4090" in told.stdout


def test_the_card_of_this_machine_is_looked_at(bare: Path) -> None:
    driver(bare, "NVIDIA GeForce RTX 3060, 6144")
    told = asked("--engine", "dit")
    assert told.exit_code == 1
    assert "RTX 3060, 6 GiB, in this machine" in told.stdout
    assert "no: 6 GB of GPU memory are free" in told.stdout


def test_a_card_with_unknown_rates_gets_a_rung_but_no_speed(bare: Path) -> None:
    driver(bare, "NVIDIA Prototype X, 200000")
    told = asked("--engine", "dit")
    assert "memory 96: bfloat16" in told.stdout
    assert "nothing is known of this card's rates" in told.stdout


def test_a_rung_may_be_asked_for() -> None:
    assert "memory 24" in asked("--gpu", "H100", "--memory", "24").stdout
    assert asked("--gpu", "4090", "--memory", "80").exit_code == 1

"""Benchmarks write their results into the folder of the machine that they run on."""

from pathlib import Path

import pytest
from benchmarks import machine
from benchmarks.cli import robustness


def test_results_lie_by_machine_room_and_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "describe_machine", lambda: "2-core AMD EPYC")
    path = machine.results_path("/anywhere/benchmarks/mesh/speed.py")
    assert path.relative_to(Path(machine.__file__).parent) == Path("results/2-core-amd-epyc/mesh/speed.md")


def test_the_folder_is_made(tmp_path: Path) -> None:
    machine.write_results(tmp_path / "new" / "room" / "a.md", "table\n")
    assert (tmp_path / "new" / "room" / "a.md").read_text() == "table\n"


def test_a_machine_has_a_name() -> None:
    assert machine.describe_machine().strip()


def test_outcomes_of_robustness_are_counted() -> None:
    text = (
        "sync --fix\n    12  read\n  1000  it is damaged\n     2  it is empty\n     1  FAILED Case(): exit 1\n"
        "at most 0.1 s\n"
    )
    assert robustness.summarise_counts(text) == "1,015 | 1 | 1,002 refused, 12 read; at most 0.1 s"


def test_rows_of_other_parts_stay(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Robustness\n\n| what | cases |\n| --- | --- |\n| kills | 60 |\n")
    assert robustness.read_rows(tmp_path / "a.md")["kills"] == "| kills | 60 |\n"
    assert robustness.read_rows(tmp_path / "none.md") == {}

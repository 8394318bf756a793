"""Benchmarks write their results into the folder of the machine that they run on."""

from pathlib import Path

import pytest
from benchmarks import machine


def test_results_lie_by_machine_room_and_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "describe_machine", lambda: "2-core AMD EPYC")
    path = machine.results_path("/anywhere/benchmarks/mesh/speed.py")
    assert path.relative_to(Path(machine.__file__).parent) == Path("results/2-core-amd-epyc/mesh/speed.md")


def test_the_folder_is_made(tmp_path: Path) -> None:
    machine.write_results(tmp_path / "new" / "room" / "a.md", "table\n")
    assert (tmp_path / "new" / "room" / "a.md").read_text() == "table\n"


def test_a_machine_has_a_name() -> None:
    assert machine.describe_machine().strip()

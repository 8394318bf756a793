"""A short run of the kills: nothing is lost, and the next run leaves no litter."""

from pathlib import Path

import pytest

from audio import kill
from audio.kill import RESULT_NAMES


@pytest.mark.slow
def test_runs_that_are_killed_lose_nothing_and_leave_no_litter(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    rounds = list(kill.run_rounds(folder, count=4, seed=1))
    assert [outcome.faults for outcome in rounds] == [()] * 4
    assert [outcome.runs for outcome in rounds] == [1, 2, 3, 4]
    assert sum(outcome.killed for outcome in rounds) > 0
    assert set(RESULT_NAMES) <= kill.read_files(folder).keys()


def test_faults_are_found() -> None:
    right = {"a": b"1", "b": b"2", "c": b"3"}
    found = {"a": b"1", "b": b"other", "d": b"4"}
    faults = ["the last run ended with 2", "c is lost", "d is litter", "b has changed"]
    assert list(kill.find_faults(found, right, 2)) == faults
    assert list(kill.find_faults(right, right, 1)) == []

"""A short run of the fuzzer: damaged files of every format are read or refused, quickly and in little memory."""

from pathlib import Path

import pytest

from audio import fuzz
from audio.fuzz import Failure, Worst


@pytest.mark.slow
def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    files = fuzz.corpus(tmp_path)
    worst = Worst()
    results = list(fuzz.outcomes(tmp_path, iter(range(5 * len(files))), seed=1, worst=worst))
    assert [outcome for outcome in results if isinstance(outcome, Failure)] == []
    assert len(results) == 5 * len(files)
    assert "read" in results
    assert "it is damaged, or not a sound file" in results
    assert 0 < worst.seconds < fuzz.SECONDS
    assert 0 < worst.memory < fuzz.MEMORY


@pytest.mark.slow
def test_undamaged_files_are_read(tmp_path: Path) -> None:
    for path in fuzz.corpus(tmp_path):
        assert fuzz.read(path, thorough=True) == "read", path.name


@pytest.mark.slow
def test_a_crash_is_a_failure_and_the_next_case_runs(tmp_path: Path) -> None:
    """Case "x" is not a number, so the process ends as it would on a crash."""
    fuzz.corpus(tmp_path)
    cases = iter(["0", "x", "2"])
    first, second, third = fuzz.outcomes(tmp_path, cases, seed=1)  # type: ignore[arg-type]
    assert second == Failure("x", "exit 1")  # type: ignore[arg-type]
    assert not isinstance(first, Failure)
    assert not isinstance(third, Failure)

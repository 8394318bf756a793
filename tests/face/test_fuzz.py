"""A short run of the fuzzer: damaged pictures of every format are read or refused, quickly and in little memory."""

from pathlib import Path

from audio.fuzz import MEMORY, SECONDS, Failure, Worst, outcomes
from face import fuzz


def test_damaged_pictures_are_read_or_refused(tmp_path: Path) -> None:
    count = 8 * len(fuzz.write_corpus(tmp_path))
    worst = Worst()
    results = list(outcomes(tmp_path, iter(range(count)), seed=1, worst=worst, script=fuzz.__file__))
    assert [outcome for outcome in results if isinstance(outcome, Failure)] == []
    assert len(results) == count
    assert "read" in results
    assert "it is a damaged PNG file, or one of a rare kind" in results
    assert worst.seconds < SECONDS
    assert worst.memory < MEMORY


def test_undamaged_pictures_are_read(tmp_path: Path) -> None:
    for path in fuzz.write_corpus(tmp_path):
        assert fuzz.read_case(path, False) == "read", path.name

"""A short run of the script that ends commands by signals; it finds what it looks for."""

from pathlib import Path

import pytest

from cli import kills
from video.clips import write_clip


@pytest.mark.slow
@pytest.mark.parametrize("name", kills.COMMANDS)
def test_a_run_that_is_ended_leaves_what_was_there(name: str) -> None:
    results = kills.run_cases(name, count=3, seed=1)
    assert [result for result in results if result.startswith("FAILED")] == []
    assert results.total() == 3


@pytest.mark.slow
def test_a_signal_at_the_first_moment_leaves_what_was_there(tmp_path: Path) -> None:
    bench = kills.KillBench(tmp_path, "generate")
    for number in kills.SIGNALS:
        case = kills.Case(number, times=2, delay=0.3)
        assert bench.run_case(case) == f"ended by {number.name}"


def test_a_video_that_was_cut_is_another(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", "mp4", count=25)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:-1000])
    found = kills.read_content(whole)
    assert isinstance(found, tuple)
    assert found[0] == 25
    assert kills.read_content(cut) == "damaged"

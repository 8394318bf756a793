"""A short run of the script that ends renderings by signals; it finds what it looks for."""

import random
import signal
from pathlib import Path

import pytest

from cli import kills


@pytest.mark.slow
def test_a_rendering_that_is_ended_leaves_what_was_there(tmp_path: Path) -> None:
    kills.write_inputs(tmp_path)
    dice = random.Random(1)
    results = [kills.run_case(tmp_path, kills.draw_case(dice, kills.LONGEST)) for _ in range(8)]
    assert [result for result in results if result.startswith("FAILED")] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", kills.SIGNALS)
def test_a_signal_at_the_first_moment_leaves_what_was_there(tmp_path: Path, number: signal.Signals) -> None:
    kills.write_inputs(tmp_path)
    case = kills.Case(number, times=2, delay=0.3)
    assert kills.run_case(tmp_path, case) == f"ended by {number.name}"

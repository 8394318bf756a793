"""Every failure of the program is one line on stderr and an exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            "libavcodec.so.62: failed to map segment from shared object",
            "there is not enough memory; close other programs",
        ),
        (
            "no module named soxr",
            "a part of the program cannot be loaded: no module named soxr; "
            "run: pip install --force-reinstall liveavatar",
        ),
    ],
)
def test_a_library_that_cannot_be_loaded_is_one_line(tmp_path: Path, problem: str, line: str) -> None:
    (tmp_path / "soxr.py").write_text(f"raise ImportError({problem!r})")
    done = subprocess.run(
        [sys.executable, "-m", "liveavatar", "audio", "check", "a.wav"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {line}\n")

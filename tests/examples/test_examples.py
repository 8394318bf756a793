"""Every example runs as written, and is short."""

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from liveavatar.frames import Samples

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def speech(babble: Samples, tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.asarray(babble[:8000] * 32767, "<i2").tobytes())
    return path


def run(name: str, *arguments: str | Path) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_fits_on_a_screen(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.slow
def test_rendering_a_file(photograph: Path, speech: Path, tmp_path: Path) -> None:
    assert "13 frames" in run("render.py", photograph, speech, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").stat().st_size > 1000


@pytest.mark.slow
def test_live_sound(photograph: Path, speech: Path) -> None:
    lines = run("live.py", photograph, speech).splitlines()
    assert lines[0].startswith("frame 0 at 0.00 s: 512x600")
    assert lines[-1].endswith("more after the end")


@pytest.mark.slow
def test_the_diffusion_engine(photograph: Path, speech: Path, tmp_path: Path) -> None:
    assert "13 frames" in run("diffusion.py", photograph, speech, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").stat().st_size > 1000

"""Every example runs as written, and is short."""

import asyncio
import runpy
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from integrations.fake_room import FakeRoom
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


@pytest.mark.slow
def test_a_face_for_a_livekit_agent(photograph: Path, babble: Samples) -> None:
    pytest.importorskip("livekit.agents", reason="needs LiveKit: pip install -e '.[livekit]'")
    from livekit import rtc
    from livekit.agents.voice.avatar import QueueAudioOutput

    show_avatar = runpy.run_path(str(EXAMPLES / "livekit_avatar.py"))["show_avatar"]
    sound = np.asarray(babble[:8000] * 32767, np.int16)

    async def speak() -> float:
        output, positions = QueueAudioOutput(sample_rate=16_000), asyncio.Queue[float]()
        output.on("playback_finished", lambda event: positions.put_nowait(event.playback_position))
        showing = asyncio.create_task(show_avatar(FakeRoom(), output, photograph))
        await output.capture_frame(rtc.AudioFrame(sound.tobytes(), 16_000, 1, len(sound)))
        output.flush()
        position = await asyncio.wait_for(positions.get(), 60)
        showing.cancel()
        await asyncio.wait({showing})
        return position

    assert asyncio.run(speak()) == pytest.approx(0.5, abs=0.001)


@pytest.mark.slow
def test_a_face_in_a_pipecat_pipeline(photograph: Path, speech: Path) -> None:
    pytest.importorskip("pipecat", reason="needs Pipecat: make test-pipecat")
    command = [sys.executable, str(EXAMPLES / "pipecat_avatar.py"), str(photograph), str(speech)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sum(line.startswith("TTSAudioRawFrame") for line in lines) == 13
    assert sum(line.startswith("OutputImageRawFrame") for line in lines) >= 13

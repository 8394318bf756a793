"""Speed, latency and memory of the mesh engine, end to end.

    python benchmarks/mesh.py --machine "2-core AMD EPYC" [--minutes 10]

Every figure is taken in a process of its own on Grace Hopper's portrait (it comes with matplotlib) at 512x512 and the
speech that comes with the package, repeated to the length wanted. Quote medians: a shared machine is noisy.
Writes `benchmarks/results/mesh.md`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from importlib import resources
from pathlib import Path

import numpy as np
import soxr  # type: ignore[import-untyped]

from liveavatar.audio.front_end import read_speech
from liveavatar.cli.demo import portrait_path
from liveavatar.engine import open_engine
from liveavatar.face.portrait import load_portrait
from liveavatar.frames import Samples
from liveavatar.mesh.session import MeshActor, MeshEngine

SIZE = (512, 512)
FPS = Fraction(25)
RESULTS = Path(__file__).parent / "results" / "mesh.md"


def demo_speech() -> Samples:
    """The package's English speech, 16 kHz mono."""
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        return np.concatenate(list(read_speech(path)[1]))


def actor() -> MeshActor:
    """The prepared portrait."""
    return MeshEngine().open(load_portrait(portrait_path()), SIZE)


def render_alone() -> dict[str, float]:
    """Frames a second of listening and drawing, without encoding."""
    ready, sound = actor(), demo_speech()
    speeds = []
    for _ in range(5):
        session = ready.session(FPS, 0)
        start = time.perf_counter()
        session.push(sound)
        session.flush()
        frames = sum(1 for _ in session.frames())
        speeds.append(frames / (time.perf_counter() - start))
    return {"fps": statistics.median(speeds), "best": max(speeds)}


def first_frame() -> dict[str, float]:
    """A warm session hears 20 ms chunks as a microphone gives them: when is the first frame there?"""
    ready, sound = actor(), demo_speech()[8000:]
    waits, works = [], []
    for _ in range(20):
        session = ready.session(FPS, 0)
        for number, chunk in enumerate(np.split(sound[:16_000], 50), start=1):
            start = time.perf_counter()
            session.push(chunk)
            done = next(session.frames(), None) is not None
            work = time.perf_counter() - start
            if done:
                waits.append(1000 * (number * 0.02 + work))
                works.append(1000 * work)
                break
    return {
        "first_frame_ms": statistics.median(waits),
        "of it computing": statistics.median(works),
        "lookahead_ms": ready.session(FPS, 0).lookahead / 16,
    }


def end_to_end(seconds: int) -> dict[str, float]:
    """`liveavatar generate` on a file of that length, in a process of its own."""
    sound = demo_speech()
    repeated = np.tile(sound, -(-seconds * 16_000 // len(sound)))[: seconds * 16_000]
    with tempfile.TemporaryDirectory() as folder:
        audio, video = Path(folder) / "speech.wav", Path(folder) / "out.mp4"
        write_wav(audio, np.asarray(soxr.resample(repeated, 16_000, 48_000)), 48_000)
        command = [
            sys.executable,
            "-m",
            "liveavatar",
            "generate",
            "-i",
            str(portrait_path()),
            "-a",
            str(audio),
        ]
        command += ["-o", str(video), "--size", f"{SIZE[0]}x{SIZE[1]}", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return {
        "fps": told["frames_per_second"],
        "first_frame_ms": told["first_frame_ms"],
        "MB": told["peak_memory_bytes"] / 1e6,
    }


def write_wav(path: Path, samples: Samples, rate: int) -> None:
    """16-bit mono."""
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def preparation() -> dict[str, float]:
    """Seconds from a picture's path to a session, models already fetched, second time in the process."""
    open_engine("mesh")
    actor()
    start = time.perf_counter()
    load_portrait(portrait_path())
    loaded = time.perf_counter()
    actor()
    return {"load_s": loaded - start, "load and prepare_s": time.perf_counter() - loaded}


def table(rows: dict[str, dict[str, float]], machine: str) -> str:
    """The results as Markdown."""
    lines = [
        "# Mesh engine: speed, latency, memory",
        "",
        f"Machine: {machine}, {os.cpu_count()} cores. Portrait and frames 512x512, 25 fps,",
        "H.264 and AAC. Script: `benchmarks/mesh.py`.",
        "",
        "| what | figures |",
        "| --- | --- |",
    ]
    for name, row in rows.items():
        lines.append(f"| {name} | {', '.join(f'{key} {value:.4g}' for key, value in row.items())} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", required=True, help="what to call this machine in the table")
    parser.add_argument("--minutes", type=int, default=10, help="length of the long run")
    options = parser.parse_args()
    rows = {
        "from picture to session": preparation(),
        "listening and drawing, no encoding": render_alone(),
        "live, 20 ms chunks, warm": first_frame(),
        "generate, 10 s of speech": end_to_end(10),
        "generate, 1 min of speech": end_to_end(60),
        f"generate, {options.minutes} min of speech": end_to_end(60 * options.minutes),
    }
    text = table(rows, options.machine)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

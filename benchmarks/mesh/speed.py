"""Speed, latency and memory of the mesh engine, end to end.

    python -m benchmarks.mesh.speed --machine "2-core AMD EPYC" [--minutes 10]

On Grace Hopper's portrait (from matplotlib) at 512x512 and the speech of the package, repeated to the length needed.
Wall-clock figures depend on what else runs; `cpu_ms` is the processor time of a frame over all threads, and
2000 / cpu_ms bounds the frames a second of two cores. Writes `benchmarks/results/MACHINE/mesh/speed.md`.
"""

import argparse
import json
import os
import resource
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
from benchmarks.machine import describe_machine, results_path, write_results

from liveavatar.audio.front_end import read_speech
from liveavatar.cli.commands.demo import find_demo_portrait
from liveavatar.engines import open_engine
from liveavatar.face.portrait import load_portrait
from liveavatar.frames import Samples
from liveavatar.mesh.expression import MouthArticulation, build_expression
from liveavatar.mesh.motion.head_pose import HeadPoseGenerator
from liveavatar.mesh.session import MeshActor, MeshEngine
from liveavatar.speech.stream import SpeechStream
from liveavatar.speech.track import STEP_SAMPLES
from liveavatar.timeline import Timeline

SIZE = (512, 512)
FPS = Fraction(25)
RESULTS = results_path(__file__)


def read_demo_speech() -> Samples:
    """The package's English speech, 16 kHz mono."""
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        return np.concatenate(list(read_speech(path)[1]))


def prepare_demo_actor(size: tuple[int, int] = SIZE) -> MeshActor:
    """The prepared portrait."""
    return MeshEngine().open(load_portrait(find_demo_portrait()), size)


def measure_renderer(size: tuple[int, int]) -> dict[str, float]:
    """The renderer alone, on expressions of the speech: each frame's fastest of nine."""
    renderer, timeline = prepare_demo_actor(size).renderer, Timeline(fps=FPS)
    speech, motion = SpeechStream().push(read_demo_speech()), HeadPoseGenerator(FPS, 0)
    spans = [
        [edge // STEP_SAMPLES for edge in timeline.frame_span(index)] for index in range(len(speech) // 4)
    ]
    articulations = [MouthArticulation.from_speech(speech.slice_steps(first, last)) for first, last in spans]
    expressions = [build_expression(mouth, motion.next_pose(0.5, 0.0, 0.0, 1.0)) for mouth in articulations][
        ::5
    ]
    best = [float("inf")] * len(expressions)
    for _ in range(9):
        for index, expression in enumerate(expressions):
            start = time.process_time()
            renderer.render(expression)
            best[index] = min(best[index], time.process_time() - start)
    mean = 1000 * statistics.mean(best)
    return {"cpu_ms": mean, "fps of one core": 1000 / mean}


def measure_session() -> dict[str, float]:
    """Frames a second of a complete session, without encoding."""
    actor, sound = prepare_demo_actor(), read_demo_speech()
    speeds, costs = [], []
    for _ in range(5):
        session = actor.session(FPS, 0)
        start, busy = time.perf_counter(), time.process_time()
        session.push(sound)
        session.flush()
        frames = sum(1 for _ in session.frames())
        speeds.append(frames / (time.perf_counter() - start))
        costs.append(1000 * (time.process_time() - busy) / frames)
    return {"cpu_ms": min(costs), "fps": statistics.median(speeds), "best": max(speeds)}


def measure_first_frame() -> dict[str, float]:
    """Latency of the first frame in a warm session that gets chunks of 20 ms, as from a microphone."""
    actor, sound = prepare_demo_actor(), read_demo_speech()[8000:]
    waits, works = [], []
    for _ in range(20):
        session = actor.session(FPS, 0)
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
        "lookahead_ms": actor.session(FPS, 0).lookahead / 16,
    }


def measure_generate(seconds: int) -> dict[str, float]:
    """`liveavatar generate` on a file of that length, in a process of its own."""
    sound = read_demo_speech()
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
            str(find_demo_portrait()),
            "-a",
            str(audio),
        ]
        command += ["-o", str(video), "--size", f"{SIZE[0]}x{SIZE[1]}", "--json"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = json.loads(done.stdout)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "cpu_ms with start and preparation": 1000 * busy / result["frames"],
        "fps": result["frames_per_second"],
        "first_frame_ms": result["first_frame_ms"],
        "MB": result["peak_memory_bytes"] / 1e6,
    }


def write_wav(path: Path, samples: Samples, rate: int) -> None:
    """Write 16-bit mono."""
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def measure_preparation() -> dict[str, float]:
    """Seconds from a picture's path to a session, models already fetched, second time in the process."""
    open_engine("mesh")
    prepare_demo_actor()
    start = time.perf_counter()
    load_portrait(find_demo_portrait())
    loaded = time.perf_counter()
    prepare_demo_actor()
    return {"load_s": loaded - start, "load and prepare_s": time.perf_counter() - loaded}


def format_table(rows: dict[str, dict[str, float]], machine: str, beside: str) -> str:
    """The results as Markdown."""
    lines = [
        "# Mesh engine: speed, latency, memory",
        "",
        f"Machine: {machine}, {os.cpu_count()} cores. Portrait and frames 512x512, 25 fps,",
        f"H.264 and AAC. The machine was otherwise {beside}. Script: `benchmarks/mesh/speed.py`, which says what is "
        "what.",
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
    parser.add_argument("--machine", default=describe_machine(), help="the name of this machine in the table")
    parser.add_argument("--beside", default="quiet", help="what else the machine did: quiet or busy")
    parser.add_argument("--minutes", type=int, default=10, help="length of the long run; 0 for none")
    options = parser.parse_args()
    rows = {
        "from picture to session": measure_preparation(),
        "drawing, 512x512": measure_renderer(SIZE),
        "drawing, 96x112": measure_renderer((96, 112)),
        "analysing speech and drawing, no encoding": measure_session(),
        "live, 20 ms chunks, warm": measure_first_frame(),
        "generate, 10 s of speech": measure_generate(10),
    }
    if options.minutes:
        rows[f"generate, {options.minutes} min of speech"] = measure_generate(60 * options.minutes)
    text = format_table(rows, options.machine, options.beside)
    write_results(RESULTS, text)
    print(text)


if __name__ == "__main__":
    main()

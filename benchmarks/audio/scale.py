"""Memory and time of `audio prepare` on a tree of many recordings, twice, and of all commands on a very long one.

    python -m benchmarks.audio.scale --machine "2-core AMD EPYC" [--files 10000] [--hours 10]

The recordings last 0.2 to 1 s, in nine formats, hard-linked into folders of a hundred. The long one is a FLAC at 8 kHz.
Memory is that of the largest process, time is the CPU time of all. Writes `benchmarks/results/MACHINE/audio/scale.md`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results

from liveavatar.audio.front_end import read_speech
from liveavatar.frames import Samples

RESULTS = results_path(__file__)
ASSET = Path(__file__).parents[2] / "src" / "liveavatar" / "assets" / "demo_en.ogg"
PROGRAM = [sys.executable, "-m", "liveavatar", "audio"]
FORMATS = (
    ("wav", "pcm_s16le", 8_000),
    ("wav", "pcm_s16le", 16_000),
    ("wav", "pcm_s24le", 44_100),
    ("wav", "pcm_f32le", 48_000),
    ("flac", "flac", 16_000),
    ("mp3", "libmp3lame", 44_100),
    ("m4a", "aac", 48_000),
    ("opus", "libopus", 48_000),
    ("webm", "libopus", 48_000),
)
SMALL_TREE_FILES = 100
READ_SCRIPT = """
import json, sys
from liveavatar.audio.front_end import read_speech
report, sound = read_speech(sys.argv[1])
samples = sum(map(len, sound))
print(json.dumps([samples, report.speech_sample_count]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU seconds, bytes of the largest process, and the output of the program."""

    cpu: float
    memory: int
    output: str


def measure_cost(command: list[str]) -> Cost:
    """Run a command under a process that measures this command alone."""
    counter = (
        "import resource, subprocess, sys; "
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss, done.returncode); print(done.stdout)"
    )
    out = subprocess.run(
        [sys.executable, "-c", counter, *command],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    ).stdout
    first, output = out.split("\n", 1)
    cpu, kilobytes, code = first.split()
    assert int(code) < 2, output
    return Cost(cpu=float(cpu), memory=int(kilobytes) << 10, output=output)


def encode(path: Path, sound: Samples, rate: int, codec: str) -> Path:
    """A mono file of 16 kHz sound at `rate`."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        converter = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        for piece in [*converter.resample(frame), *converter.resample(None)]:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return path


def make_tree(folder: Path, files: int, speech: Samples) -> Path:
    """A tree of `files` recordings in folders of a hundred."""
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    random = np.random.default_rng(0)
    recordings = []
    for number in range(4 * len(FORMATS)):
        suffix, codec, rate = FORMATS[number % len(FORMATS)]
        length = int(random.integers(3_200, 16_000))
        start = int(random.integers(len(speech) - length))
        recordings.append(encode(seeds / f"{number}.{suffix}", speech[start : start + length], rate, codec))
    root = folder / "in"
    for number in range(files):
        seed = recordings[number % len(recordings)]
        place = root / f"{number // 100:03}" / f"{number:05}{seed.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(seed, place)
    return root


def measure_tree(folder: Path, files: int, speech: Samples) -> dict[str, Cost]:
    """The cost of the first and second run over a tree."""
    source, target, report = make_tree(folder, files, speech), folder / "out", folder / "report.json"
    command = [*PROGRAM, "prepare", str(source), "-o", str(target), "--jobs", "1", "--report", str(report)]
    rows = {}
    for name, state in (("prepared", "done"), ("again, all unchanged", "unchanged")):
        rows[f"{files} files {name}"] = measure_cost(command)
        states = [entry["state"] for entry in json.loads(report.read_text())["files"]]
        assert states == [state] * files, f"{states.count(state)} of {files} {state}"
    return rows


def make_long_file(path: Path, seconds: int, speech: Samples) -> Path:
    """Repeated speech, FLAC at 8 kHz, of exactly `seconds`."""
    narrow = speech[: len(speech) // 16_000 * 16_000 : 2]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("flac", rate=8_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        pcm = np.rint(narrow * 32767).astype(np.int16)
        left = 8_000 * seconds
        for start in count(step=len(pcm)):
            piece = pcm[:left]
            left -= len(piece)
            frame = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8_000, start, Fraction(1, 8_000)
            output.mux(stream.encode(frame))
            if not left:
                break
        output.mux(stream.encode(None))
    return path


def measure_long_file(folder: Path, seconds: int, speech: Samples) -> dict[str, Cost]:
    """The cost of checking and preparing one file, and of reading it as `generate` does."""
    folder.mkdir()
    path, name = make_long_file(folder / "long.flac", seconds, speech), f"{seconds / 3600:g} h"
    rows = {
        f"{name} checked": measure_cost([*PROGRAM, "check", str(path), "--json"]),
        f"{name} prepared": measure_cost(
            [*PROGRAM, "prepare", str(path), "-o", str(folder / "out"), "--jobs", "1"]
        ),
        f"{name} read for an engine": measure_cost([sys.executable, "-c", READ_SCRIPT, str(path)]),
    }
    [report] = json.loads(rows[f"{name} checked"].output)["recordings"]
    assert report["samples"] == 8_000 * seconds
    with wave.open(str(folder / "out" / "long.wav")) as file:
        assert file.getnframes() == 16_000 * seconds
    assert json.loads(rows[f"{name} read for an engine"].output) == [16_000 * seconds] * 2
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default=describe_machine(), help="name of this machine in the table")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=10)
    options = parser.parse_args()
    speech = np.concatenate(list(read_speech(ASSET)[1]))
    with tempfile.TemporaryDirectory() as name:
        rows: dict[str, Cost] = {}
        for number, files in enumerate(sorted({SMALL_TREE_FILES, options.files})):
            rows |= measure_tree(Path(name) / f"tree{number}", files, speech)
        for number, hours in enumerate((0.1, options.hours)):
            rows |= measure_long_file(Path(name) / f"long{number}", round(3600 * hours), speech)
    lines = [
        "# Many recordings, and long ones",
        "",
        f"Machine: {options.machine}; one process (`--jobs 1`).",
        "Script: `benchmarks/audio/scale.py`. Durations are exact to the sample.",
        "",
        "| what | CPU | largest process |",
        "| --- | ---: | ---: |",
        *(f"| {what} | {row.cpu:.1f} s | {row.memory / 2**20:.0f} MiB |" for what, row in rows.items()),
    ]
    write_results(RESULTS, "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

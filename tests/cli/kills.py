"""Ends renderings by signals at random moments: the right exit code, one line, and nothing half written.

    PYTHONPATH=src:tests nice python tests/cli/kills.py --count 60 [--seed 0] [--longest 4]

A case starts `liveavatar generate` over an existing video and sends it SIGINT, SIGTERM, SIGHUP or SIGKILL, sometimes
twice. The existing video must stay, or be replaced by a whole one. What SIGKILL leaves is removed by the next run.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import av
import matplotlib as mpl
import numpy as np

from audio.sounds import write_wav
from liveavatar.partials import remove_dead_partials

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)

LONGEST = 4.0
"""Seconds until the latest signal: about as long as a whole run, of which two thirds are imports."""

STARTUP = 0.15
"""Seconds of the earliest signal: before, Python itself has not begun to read the program."""

OLD = b"the video of yesterday"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9}


@dataclass(frozen=True, slots=True)
class Case:
    """One run: the signal, how often it is sent, and when, in seconds."""

    number: signal.Signals
    times: int
    delay: float


def draw_case(dice: random.Random, longest: float) -> Case:
    """A case at random."""
    number = dice.choice(SIGNALS)
    return Case(number, dice.choice((1, 1, 2)), dice.uniform(STARTUP, longest))


def write_inputs(folder: Path) -> None:
    """A portrait and a second of sound."""
    shutil.copy(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg", folder / "face.jpg")
    noise = np.random.default_rng(0).normal(0, 0.05, (16_000, 1)).astype(np.float32)
    write_wav(folder / "voice.wav", noise, 16_000)


def run_case(folder: Path, case: Case) -> str:
    """Run one case; says how it ended, with FAILED in front if that is wrong."""
    output = folder / "out.mp4"
    output.write_bytes(OLD)
    (folder / "tmp").mkdir(exist_ok=True)
    code, errors = _end_rendering(folder, case)
    is_replaced = output.read_bytes() != OLD
    if is_replaced:
        _decode_video(output)
    faults = [
        fault
        for fault, is_there in {
            f"exit {code}": code not in {CODES[case.number], 0},
            "exit 0 without a video": code == 0 and not is_replaced,
            "a traceback": "Traceback" in errors,
            "litter": case.number != signal.SIGKILL and bool(list_litter(folder)),
        }.items()
        if is_there
    ]
    for place in (folder, folder / "tmp"):
        remove_dead_partials(place)
    faults += ["litter after a sweep"] if list_litter(folder) else []
    if faults:
        return f"FAILED {case}: {', '.join(faults)}: {errors[-300:]}"
    return "done before the signal" if code == 0 else f"ended by {case.number.name}"


def list_litter(folder: Path) -> list[str]:
    """Names in the folder and its temporary one that no user asked for."""
    known = {"face.jpg", "voice.wav", "out.mp4", "tmp"}
    return [path.name for path in [*folder.iterdir(), *(folder / "tmp").iterdir()] if path.name not in known]


def _end_rendering(folder: Path, case: Case) -> tuple[int, str]:
    """Start a rendering and end it; its exit code and what it said."""
    arguments = ["generate", "-i", "face.jpg", "-a", "voice.wav", "-o", "out.mp4", "--size", "128x128"]
    process = subprocess.Popen(
        [sys.executable, "-m", "liveavatar", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder / "tmp")},
    )
    time.sleep(case.delay)
    for _ in range(case.times):
        process.send_signal(case.number)
    _, errors = process.communicate()
    return process.returncode, errors


def _decode_video(path: Path) -> None:
    with av.open(str(path)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 25


def main() -> None:
    """Run many cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=LONGEST)
    options = parser.parse_args()
    results, dice = Counter[str](), random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        write_inputs(Path(name))
        for _ in range(options.count):
            results[run_case(Path(name), draw_case(dice, options.longest))] += 1
    for what, count in results.most_common():
        sys.stdout.write(f"{count:6}  {what}\n")


if __name__ == "__main__":
    main()

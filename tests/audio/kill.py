"""Kills `liveavatar audio prepare` at random moments, one to four runs in one folder, and looks at what is left.

    PYTHONPATH=tests nice python tests/audio/kill.py --count 60 [--seed 0]

The folder holds recordings, some of one name, and is the folder for the results too. A round starts up to four runs,
kills some of them, lets the others end, and then starts one more. After that each recording has one result with the
right content, every other file is what it was, there is nothing else in the folder, and no process is left.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from audio.sounds import babble, encode, write_wav
from liveavatar.audio.batch.manifest import MANIFEST_NAME

RECORDING_NAMES = ("a.wav", "b.wav", "c.wav", "deep/a.wav", "a.flac", "deep/d.flac")
RESULT_NAMES = ("a-2.wav", "a.flac.wav", "b-2.wav", "c-2.wav", "deep/a-2.wav", "deep/d.flac.wav")
"""What a run makes of the recordings that `write_recordings` writes."""

MOST_RUNS = 4


@dataclass(frozen=True, slots=True)
class Round:
    """One round: how many runs, how many of them were killed, and what was wrong afterwards."""

    number: int
    runs: int
    killed: int
    faults: tuple[str, ...]


def write_recordings(folder: Path, take: int) -> None:
    """Short recordings, in one of several takes; `deep/d.wav` is somebody's text."""
    (folder / "deep").mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(RECORDING_NAMES):
        sound = babble(16_000, 0.5 + number / 16 + take / 40)
        if name.endswith(".flac"):
            encode(folder / name, sound, 16_000, "flac")
        else:
            write_wav(folder / name, sound, 16_000)
    (folder / "deep" / "d.wav").write_text("this is no sound")


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file in a folder but the manifest, by its path in it."""
    paths = (path for path in folder.rglob("*") if not path.is_dir() and path.name != MANIFEST_NAME)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def run_rounds(folder: Path, count: int, seed: int) -> Iterator[Round]:
    """Play rounds in an empty folder; yields what happened in each."""
    chance = random.Random(seed)
    right = []
    for take in (0, 1):
        write_recordings(folder, take)
        start_run(folder).wait()
        right.append(read_files(folder))
    for number in range(count):
        take = chance.randrange(2)  # new takes, whose results replace those of the old ones
        write_recordings(folder, take)
        remove_results(folder, set(RESULT_NAMES), chance)
        runs = [start_run(folder) for _ in range(1 + number % MOST_RUNS)]
        killed = kill_some(runs, folder, chance)
        for process in runs:
            process.wait()
        code = (last := start_run(folder)).wait()
        wait_for_groups([*runs, last])
        yield Round(number, len(runs), killed, tuple(find_faults(read_files(folder), right[take], code)))


def start_run(folder: Path) -> "subprocess.Popen[bytes]":
    """Start one run in a session of its own, so that its processes can be found."""
    command = [
        sys.executable,
        "-m",
        "liveavatar",
        "audio",
        "prepare",
        str(folder),
        "-o",
        str(folder),
        "--jobs",
        "2",
    ]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)


def remove_results(folder: Path, names: set[str], chance: random.Random) -> None:
    """Remove some results, and the manifest with all of them."""
    everything = chance.random() < 0.5
    for name in sorted(names):
        if everything or chance.random() < 0.5:
            (folder / name).unlink(missing_ok=True)
    if everything:
        (folder / MANIFEST_NAME).unlink(missing_ok=True)


def kill_some(runs: list["subprocess.Popen[bytes]"], folder: Path, chance: random.Random) -> int:
    """Kill the first run and perhaps others, each a moment after some scratch file has appeared."""
    killed = 0
    for process in runs:
        if killed and chance.random() < 0.5:
            continue
        wanted = chance.choice([0, 1, 1, 2])
        while process.poll() is None and count_scratch_files(folder) < wanted:
            time.sleep(0.001)
        time.sleep(chance.random() * chance.choice([0.01, 0.1, 0.5]))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
    return killed


def count_scratch_files(folder: Path) -> int:
    """The number of results that are being written."""
    with suppress(FileNotFoundError):  # a run has ended meanwhile
        return len(list(folder.glob(".liveavatar-*.part/*")))
    return 0


def wait_for_groups(runs: Sequence["subprocess.Popen[bytes] | subprocess.Popen[str]"]) -> None:
    """Return when no process of these runs is left, which must not need any signal."""
    sessions = {process.pid for process in runs}
    while any(read_session(path) in sessions for path in Path("/proc").glob("[0-9]*/stat")):
        time.sleep(0.02)


def read_session(path: Path) -> int | None:
    """The session of a process that has not ended, from its `stat`."""
    try:
        state, _parent, _group, session = path.read_text().rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return None if state == "Z" else int(session)


def find_faults(found: dict[str, bytes], right: dict[str, bytes], code: int) -> Iterator[str]:
    """What differs from an undisturbed run."""
    if code != 1:  # deep/d.wav is no sound
        yield f"the last run ended with {code}"
    for name in sorted(right.keys() - found.keys()):
        yield f"{name} is lost"
    for name in sorted(found.keys() - right.keys()):
        yield f"{name} is litter"
    for name in sorted(found.keys() & right.keys()):
        if found[name] != right[name]:
            yield f"{name} has changed"


def main() -> None:
    """Print each round that has faults, and a summary; exit code 1 if there are any."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    killed = failed = 0
    with TemporaryDirectory() as folder:
        for outcome in run_rounds(Path(folder) / "recordings", options.count, options.seed):
            killed += outcome.killed
            if outcome.faults:
                failed += 1
                faults = "; ".join(outcome.faults)
                sys.stderr.write(f"round {outcome.number}, {outcome.runs} runs: {faults}\n")
    sys.stdout.write(f"{options.count - failed:6}  done, with {killed} runs killed in all\n")
    if failed:
        sys.stdout.write(f"{failed:6}  FAILED\n")
    sys.exit(1 if failed else os.EX_OK)


if __name__ == "__main__":
    main()

"""Ends runs by signals at random moments: the right exit code, one line, nothing lost and nothing half written.

    PYTHONPATH=src:tests nice python tests/cli/kills.py --count 60 [--only generate] [--seed 0]

A case starts a command and sends it, or its whole process group as a terminal does, SIGINT, SIGTERM, SIGHUP or
SIGKILL, sometimes twice; sometimes a second run in the same folder is left alone. Whatever was there stays; a result
is missing, or whole. What SIGKILL leaves is removed by the next run.
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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import matplotlib as mpl
import numpy as np

import liveavatar
from audio.kill import wait_for_groups
from audio.sounds import babble, write_wav
from liveavatar.audio.batch.manifest import MANIFEST_NAME
from liveavatar.partials import remove_dead_partials
from liveavatar.sync.audio_track import stream_mono_audio
from liveavatar.video.remux import shift_sound

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)

STARTUP = 0.15
"""Seconds of the earliest signal: before, Python itself has not begun to read the program."""

_LATEST = 1.1
"""Time of the latest signal, in durations of an undisturbed run."""

OLD = b"somebody's file of yesterday"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9}
_TEMPORARY = "tmp"


@dataclass(frozen=True, slots=True)
class KilledCommand:
    """A command, the file of yesterday that it meets, and its results, which are removed before a case.

    `refusal` is what a run says that finds a result of another.
    """

    arguments: tuple[str, ...]
    results: frozenset[str]
    old: str
    refusal: str = ""


COMMANDS: Mapping[str, KilledCommand] = {
    "generate": KilledCommand(
        ("generate", "-i", "face.jpg", "-a", "voice.wav", "-o", "out.mp4", "--size", "128x128"),
        frozenset({"out.mp4"}),
        "out.mp4",  # is replaced
    ),
    "audio prepare": KilledCommand(
        ("audio", "prepare", "voices", "-o", "out", "--jobs", "2"),
        frozenset({"out/a-2.wav", "out/b.wav", "out/c.wav"}),
        "out/a.wav",
    ),
    "sync --fix": KilledCommand(
        ("sync", "late.mp4", "--fix", "fixed.mp4"),
        frozenset({"fixed.mp4"}),
        "old.mp4",
        refusal="exists",
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One run: the signal, how often it is sent and when, in seconds; to the whole group; beside another run."""

    number: signal.Signals
    times: int
    delay: float
    is_for_group: bool = False
    is_accompanied: bool = False


def draw_case(dice: random.Random, latest: float) -> Case:
    """A case at random, with its signal after at most `latest` seconds."""
    number = dice.choice(SIGNALS)
    times, delay = dice.choice((1, 1, 2)), dice.uniform(STARTUP, latest)
    return Case(number, times, delay, dice.random() < 0.5, dice.random() < 0.25)


class KillBench:
    """Runs cases of one command in a folder that it fills. An undisturbed run, which takes `seconds`, comes first."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._command = folder, COMMANDS[name]
        (folder / _TEMPORARY).mkdir()
        write_inputs(folder)
        self._clear_results()
        started = time.monotonic()
        process = self._start_run()
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        self.seconds = time.monotonic() - started
        self._whole = {result: read_content(folder / result) for result in self._command.results}

    def run_case(self, case: Case) -> str:
        """Run one case; says how it ended, with FAILED in front if that is wrong."""
        self._clear_results()
        before = self._read_others()
        companion = self._start_run() if case.is_accompanied else None
        code, errors = self._end_run(case)
        faults = [] if companion is None else self._find_companion_faults(companion)
        if case.number != signal.SIGKILL and self._list_litter():
            faults.append("litter")
        for place in (self._folder, self._folder / "out", self._folder / _TEMPORARY):
            remove_dead_partials(place)
        if self._list_litter():
            faults.append(f"litter after a sweep: {self._list_litter()}")
        if code not in {CODES[case.number], 0, 2 if self._command.refusal and companion else 0}:
            faults.append(f"exit {code}")
        if "Traceback" in errors:
            faults.append("a traceback")
        if self._read_others() != before:
            faults.append("a file has changed")
        faults += self._find_result_faults(must_exist=code == 0 or companion is not None)
        if faults:
            return f"FAILED {case}: {', '.join(faults)}: {errors[-1500:]}"
        return "done before the signal" if code in {0, 2} else f"ended by {case.number.name}"

    def run_undisturbed(self) -> str:
        """The next run after all cases; says what is wrong with it."""
        process = self._start_run()
        _, errors = process.communicate()
        refused = bool(self._command.refusal) and self._command.refusal in errors
        faults = (
            [] if process.returncode == 0 or refused else [f"exit {process.returncode}: {errors[-1500:]}"]
        )
        faults += self._find_result_faults(must_exist=True) + self._list_litter()
        return f"FAILED next run: {', '.join(faults)}" if faults else ""

    def _start_run(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "liveavatar", *self._command.arguments],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(self._folder / _TEMPORARY)},
        )

    def _end_run(self, case: Case) -> tuple[int, str]:
        """Start a run and end it; its exit code and what it said."""
        process = self._start_run()
        time.sleep(case.delay)
        for _ in range(case.times):
            if case.is_for_group and process.poll() is None:
                os.killpg(process.pid, case.number)
            else:
                process.send_signal(case.number)
        _, errors = process.communicate()
        wait_for_groups([process])
        return process.returncode, errors

    def _find_companion_faults(self, companion: "subprocess.Popen[str]") -> list[str]:
        _, errors = companion.communicate()
        wait_for_groups([companion])
        if companion.returncode == 0 or (self._command.refusal and self._command.refusal in errors):
            return []
        return [f"exit {companion.returncode} of the other run: {errors[-1500:]}"]

    def _find_result_faults(self, must_exist: bool) -> list[str]:
        faults = []
        for name, whole in self._whole.items():
            path = self._folder / name
            is_old = name == self._command.old and path.read_bytes() == OLD
            if is_old or not path.exists():
                faults += [f"{name} is missing"] if must_exist else []
            elif read_content(path) != whole:
                faults.append(f"{name} is damaged")
        return faults

    def _clear_results(self) -> None:
        """Remove what earlier runs made, and put back the file of yesterday."""
        for name in self._command.results:
            (self._folder / name).unlink(missing_ok=True)
        old = self._folder / self._command.old
        old.parent.mkdir(exist_ok=True)
        old.write_bytes(OLD)

    def _read_others(self) -> dict[str, bytes]:
        """All files but results and what the program has for itself."""
        paths = {
            str(path.relative_to(self._folder)): path for path in self._folder.rglob("*") if path.is_file()
        }
        return {
            name: path.read_bytes()
            for name, path in paths.items()
            if name not in self._command.results and ".liveavatar-" not in name
        }

    def _list_litter(self) -> list[str]:
        """Names of what the program has left for itself, but for its manifest."""
        names = (path.name for path in self._folder.rglob("*") if path.name.startswith(".liveavatar-"))
        return sorted(name for name in names if not name.startswith(MANIFEST_NAME)) + sorted(
            path.name for path in (self._folder / _TEMPORARY).iterdir() if ".liveavatar-" not in path.name
        )


def write_inputs(folder: Path) -> None:
    """A portrait, a second of sound, a folder of recordings, and a video whose sound is early."""
    shutil.copy(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg", folder / "face.jpg")
    write_wav(folder / "voice.wav", babble(16_000, 1.0), 16_000)
    (folder / "voices").mkdir()
    for number, name in enumerate("abc"):
        write_wav(folder / "voices" / f"{name}.wav", babble(16_000, 1.0 + number / 4), 16_000)
    speech = np.concatenate(
        list(stream_mono_audio(Path(liveavatar.__file__).parent / "assets" / "demo_zh.ogg"))
    )
    with tempfile.TemporaryDirectory() as name:
        write_wav(Path(name, "speech.wav"), speech[: 6 * 16_000, None], 16_000)
        avatar = liveavatar.open(folder / "face.jpg", size=(160, 192))
        avatar.render(Path(name, "speech.wav"), Path(name, "clip.mp4"))
        shift_sound(Path(name, "clip.mp4"), folder / "late.mp4", 0.3)


def read_content(path: Path) -> object:
    """The number of pictures that can be decoded and of packets of sound in a video; the bytes of other files."""
    if path.suffix != ".mp4":
        return path.read_bytes()
    try:
        with av.open(str(path)) as video:
            pictures = sum(1 for _ in video.decode(video=0))
        with av.open(str(path)) as video:
            return pictures, sum(1 for _ in video.demux(audio=0))
    except (av.error.FFmpegError, IndexError):  # IndexError: it has no such stream
        return "damaged"


def run_cases(name: str, count: int, seed: int) -> Counter[str]:
    """How many cases of a command ended in which way."""
    results, dice = Counter[str](), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        bench = KillBench(Path(folder), name)
        for _ in range(count):
            results[bench.run_case(draw_case(dice, _LATEST * bench.seconds))] += 1
        if fault := bench.run_undisturbed():
            results[fault] += 1
    return results


def main() -> None:
    """Run many cases; exit code 1 if one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=60, help="cases of each command")
    parser.add_argument("--only", choices=COMMANDS, help="one command")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, which the runs would inherit
    has_failed = False
    for name in [options.only] if options.only else COMMANDS:
        results = run_cases(name, options.count, options.seed)
        has_failed |= any(what.startswith("FAILED") for what in results)
        sys.stdout.write(f"{name}\n")
        for what, count in results.most_common():
            sys.stdout.write(f"{count:6}  {what}\n")
        sys.stdout.flush()
    sys.exit(1 if has_failed else 0)


if __name__ == "__main__":
    main()

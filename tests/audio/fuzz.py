"""Damages real files of every format and reads them, each reading held to 10 s of CPU and 1 GB of memory.

    PYTHONPATH=tests nice python tests/audio/fuzz.py --count 20000 [--seed 0]

Reading happens in a process of its own, so that a crash is a result too. A case is its number: the same number and
seed give the same damage, and `--only NUMBER --keep FILE` writes it out.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio.sounds import babble, encode
from liveavatar.audio.front_end import check_recording, read_checked_speech
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import AudioError

SECONDS = 10
"""Seconds of CPU time a case may take."""

MEMORY = 1 << 30
"""Bytes of memory a case may take above those of the program."""

LONGEST = 2 * 3600
"""Most seconds of sound that a file of some kilobytes may give: long gaps within its declared duration are filled."""

FORMATS = [
    ("wav", "pcm_s16le", 16_000, 1, {}),
    ("wav", "pcm_u8", 8_000, 2, {}),
    ("wav", "pcm_s24le", 44_100, 6, {}),
    ("wav", "pcm_f32le", 48_000, 1, {"rf64": "always"}),
    ("wav", "adpcm_ms", 22_050, 1, {}),
    ("w64", "pcm_s16le", 16_000, 1, {}),
    ("aiff", "pcm_s16be", 16_000, 2, {}),
    ("au", "pcm_mulaw", 8_000, 1, {}),
    ("caf", "pcm_s16be", 16_000, 1, {}),
    ("flac", "flac", 16_000, 2, {}),
    ("tta", "tta", 16_000, 1, {}),
    ("wv", "wavpack", 16_000, 1, {}),
    ("mp3", "libmp3lame", 16_000, 1, {}),
    ("mp3", "libmp3lame", 44_100, 2, {}),
    ("m4a", "aac", 16_000, 1, {}),
    ("m4a", "alac", 16_000, 1, {}),
    ("mov", "pcm_s16le", 48_000, 1, {}),
    ("mp4", "libopus", 48_000, 1, {}),
    ("mkv", "aac", 44_100, 2, {}),
    ("mkv", "pcm_s16le", 16_000, 1, {}),
    ("webm", "libopus", 48_000, 1, {}),
    ("ogg", "libopus", 48_000, 1, {}),
    ("ogg", "flac", 16_000, 1, {}),
    ("ts", "aac", 16_000, 1, {}),
    ("aac", "aac", 16_000, 1, {}),
    ("avi", "libmp3lame", 16_000, 1, {}),
    ("ac3", "ac3", 48_000, 2, {}),
    ("flv", "aac", 44_100, 1, {}),
    ("nut", "pcm_s16le", 16_000, 1, {}),
]
"""Suffix, codec, rate, channels, options of the container."""

_TELLING = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62]


def corpus(folder: Path) -> list[Path]:
    """A short sound in each format."""
    files = []
    for number, (suffix, codec, rate, channels, options) in enumerate(FORMATS):
        sound = np.repeat(babble(rate, 0.25), channels, axis=1)
        path = folder / f"{number:02}-{codec}.{suffix}"
        files.append(encode(path, sound, rate, codec, options=options))
    return files


def damaged(files: list[Path], number: int, seed: int) -> tuple[str, bytes]:
    """Case `number`: suffix and bytes of one file with one to four damages."""
    random = np.random.default_rng([seed, number])
    path = files[number % len(files)]
    data = bytearray(path.read_bytes())
    for _ in range(random.integers(1, 5)):
        other = files[random.integers(len(files))].read_bytes()
        data = _accident(data, other, random)
    return path.suffix, bytes(data)


def _accident(data: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    """One damage; half of them are in the first 200 bytes, where headers are."""
    if not data:
        return bytearray(other)
    at = int(random.integers(min(len(data), 200 if random.random() < 0.5 else len(data))))
    length = int(random.integers(1, 1 + min(len(data) - at, 1 << int(random.integers(0, 12)))))
    kind = random.integers(8)
    if kind <= 1:
        data[at] ^= 1 << int(random.integers(8))
    elif kind <= 3:
        size, order = int(random.choice([1, 2, 4, 8])), str(random.choice(["little", "big"]))
        value = _TELLING[random.integers(len(_TELLING))] & ((1 << 8 * size) - 1)
        data[at : at + size] = value.to_bytes(size, "big" if order == "big" else "little")
    elif kind == 4:
        data[at : at + length] = random.bytes(length)
    elif kind == 5:
        del data[at : at + length]
    elif kind == 6:
        start = int(random.integers(max(1, len(other))))
        data[at:at] = (data if random.random() < 0.5 else other)[start : start + length]
    else:
        del data[int(random.integers(1, len(data) + 1)) :]
    return data


def read(path: Path, thorough: bool) -> str:
    """Read as the program does; returns `"read"`, or the error without the name of the file."""
    try:
        if thorough:
            report = check_recording(path)
            count = sum(map(len, read_checked_speech(report, "fix")))
            assert count == report.speech_sample_count
            return "read"
        with open_audio(path, silence_invalid=True) as stream:
            for chunk in stream:
                assert np.isfinite(chunk.samples).all()
                assert chunk.samples.shape[1] == stream.info.channels
            assert stream.sample_count < LONGEST * stream.info.rate
    except AudioError as error:
        return error.problem.replace(path.name, "it")
    return "read"


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that was neither read nor refused: crash, timeout or too much memory."""

    number: int
    how: str


@dataclass(slots=True)
class Worst:
    """The most that a case took: seconds of CPU time, and bytes of memory above those of its process at the start."""

    seconds: float = 0.0
    number: int = 0
    memory: int = 0

    def add(self, number: int, seconds: float, memory: int) -> None:
        """Count one case."""
        self.memory = max(self.memory, memory)
        if seconds > self.seconds:
            self.seconds, self.number = seconds, number


def serve(folder: Path, seed: int, read_case: Callable[[Path, bool], str]) -> None:
    """Read the cases whose numbers arrive on stdin, and write the outcome of each to stdout."""
    files = sorted(folder.glob("*-*"))
    base = _read_peak_memory()
    resource.setrlimit(resource.RLIMIT_DATA, (base + 4 * MEMORY, base + 4 * MEMORY))
    for line in sys.stdin:
        number = int(line)
        suffix, data = damaged(files, number, seed)
        path = folder / f"case{suffix}"
        path.write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        started = time.process_time()
        outcome = read_case(path, number % 7 == 0)
        seconds = time.process_time() - started
        signal.setitimer(signal.ITIMER_PROF, 0)
        memory = _read_peak_memory() - base
        sys.stdout.write(json.dumps([outcome, seconds, memory]) + "\n")
        sys.stdout.flush()
        if memory > MEMORY:
            return


def _read_peak_memory() -> int:
    """Peak memory of this process in bytes; getrusage gives that of the parent if larger."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) << 10


def outcomes(
    folder: Path, numbers: Iterator[int], seed: int, worst: Worst | None = None, script: str = __file__
) -> Iterator[str | Failure]:
    """The outcome of each case; `worst` is updated. `script` is the program that serves the cases."""
    child = None
    for number in numbers:
        child = child or _start(folder, seed, script)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{number}\n")
        child.stdin.flush()
        answer = child.stdout.readline()
        if answer:
            outcome, seconds, memory = json.loads(answer)
            if worst is not None:
                worst.add(number, seconds, memory)
            yield outcome if memory <= MEMORY else Failure(number, f"{memory >> 20} MiB")
        if not answer or memory > MEMORY:
            code = _end(child)
            child = None
            if not answer:
                yield Failure(number, "hang" if code == -signal.SIGPROF else f"exit {code}")
    if child:
        _end(child)


def _start(folder: Path, seed: int, script: str) -> "subprocess.Popen[str]":
    command = [sys.executable, script, "--serve", str(folder), "--seed", str(seed)]
    path = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=path)


def _end(child: "subprocess.Popen[str]") -> int:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    child.stdout.close()
    return child.wait()


def main(
    script: str,
    description: str | None,
    write_corpus: Callable[[Path], list[Path]],
    read_case: Callable[[Path, bool], str],
) -> None:
    """Run many cases of `script`, or write the file of one."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument(
        "--start", type=int, default=0, help="the first case, to go on where a run was stopped"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="a single case, which is written to --keep")
    parser.add_argument("--keep", type=Path, default=Path("case"))
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.seed, read_case)
        return
    with tempfile.TemporaryDirectory() as name:
        files = write_corpus(Path(name))
        if options.only is not None:
            suffix, data = damaged(files, options.only, options.seed)
            options.keep.with_suffix(suffix).write_bytes(data)
            return
        results, worst, cases = (
            Counter[str](),
            Worst(),
            iter(range(options.start, options.start + options.count)),
        )
        for done, outcome in enumerate(outcomes(Path(name), cases, options.seed, worst, script), 1):
            if isinstance(outcome, Failure):
                sys.stdout.write(
                    f"case {outcome.number} ({files[outcome.number % len(files)].name}): {outcome.how}\n"
                )
            results["FAILED" if isinstance(outcome, Failure) else outcome] += 1
            if done % 1000 == 0:
                sys.stdout.write(f"{done} done\n")
                sys.stdout.flush()
    for what, count in results.most_common():
        sys.stdout.write(f"{count:6}  {what}\n")
    sys.stdout.write(
        f"at most {worst.seconds:.2f} s CPU (case {worst.number}) and {worst.memory >> 20} MiB above the start\n"
    )


if __name__ == "__main__":
    main(__file__, __doc__, corpus, read)

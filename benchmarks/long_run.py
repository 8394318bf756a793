"""Hours of speech through the mesh engine: memory, frame count, and whether the end is as much in step as the start.

    python -m benchmarks.long_run --hours 3 --fps 25 -o benchmarks/results/long_run.md

The speech is the demo's, again and again, from a WAV that is written first. Rendering takes about a sixth of the time
at the lowest resolution; `liveavatar sync` then looks at twenty stretches of half a minute.
"""

import argparse
import platform
import tempfile
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import matplotlib as mpl
import numpy as np
from benchmarks.machine import processor

import liveavatar
from liveavatar.frames import Samples
from liveavatar.sync.audio_track import stream_mono_audio
from liveavatar.sync.measure import measure_sync
from liveavatar.sync.report import SyncReport, build_sync_report
from liveavatar.timeline import SAMPLE_RATE, Timeline, parse_fps
from liveavatar.video.reader import open_video


@dataclass(slots=True, kw_only=True)
class Memory:
    """Resident megabytes, once a minute of video."""

    fps: Fraction
    samples: list[float]

    def note(self, done: int, _total: int) -> None:
        """Called after every frame."""
        if done % round(60 * self.fps) == 0:
            self.samples.append(resident())


def resident() -> float:
    """Memory of this process now, MB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def repeated(speech: list[Path], seconds: float) -> Iterator[Samples]:
    """Recordings again and again, exactly so long."""
    left = round(seconds * SAMPLE_RATE)
    sounds = [np.concatenate(list(stream_mono_audio(path))) for path in speech]
    while left > 0:
        for sound in sounds:
            yield sound[:left]
            left -= min(left, len(sound))


def write_wav(path: Path, sound: Iterator[Samples]) -> Path:
    """A mono WAV at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for samples in sound:
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def clock(video: Path, fps: Fraction, count: int) -> tuple[int, float]:
    """Frames beyond the end, and how far the last one is from its time, in samples at 16 kHz."""
    timeline = Timeline(fps=fps)
    with open_video(video) as file:
        last = [shown.time for shown in file.read_between(Fraction(count - 5) / fps, None)]
    return len(last) - 5, float(last[-1] - timeline.frame_time(count - 1)) * SAMPLE_RATE


def run(fps: Fraction, hours: float, size: tuple[int, int], folder: Path) -> str:
    """One row of the table."""
    assets = Path(liveavatar.__file__).parent / "assets"
    speech = [assets / "demo_en.ogg", assets / "demo_zh.ogg"]
    sound = write_wav(folder / "speech.wav", repeated(speech, 3600 * hours))
    count = Timeline(fps=fps).frame_count(round(3600 * hours * SAMPLE_RATE))
    memory, video = Memory(fps=fps, samples=[]), folder / "long.mp4"
    portrait = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    started = time.perf_counter()
    result = liveavatar.open(portrait, size=size).render(sound, video, fps=fps, progress=memory.note)
    rendered = time.perf_counter() - started
    extra, off = clock(video, fps, count)
    before = resident()
    found = build_sync_report(measure_sync(video))
    first, last = ends(found)
    return (
        f"| {float(fps):.2f} | {hours:g} h | {result.frames - count + extra:+d} | {memory.samples[0]:.0f} / "
        f"{memory.samples[-1]:.0f} / {max(memory.samples):.0f} MB | {3600 * hours / rendered:.1f}x | {off:+.2f} | "
        f"{first:+.0f} ms | {last:+.0f} ms | {found.drift * 60 * hours:+.1f} ms | {resident() - before:+.0f} MB | "
        f"{found.verdict} |"
    )


def ends(found: SyncReport) -> tuple[float, float]:
    """Offset of the first and of the last stretch, ms: the median of their windows."""
    times = np.array([time for time, _, _ in found.windows])
    offsets = np.array([offset for _, offset, _ in found.windows])
    early, late = times < times[0] + 30, times > times[-1] - 30
    return float(np.median(offsets[early])), float(np.median(offsets[late]))


def main() -> None:
    """Run it and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--fps", nargs="*", default=["16", "25", "29.97"])
    parser.add_argument("--size", type=int, nargs=2, default=(96, 112), metavar=("W", "H"))
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/long_run.md"))
    options = parser.parse_args()
    lines = [
        "# The long run", "",
        f"Made by `benchmarks/long_run.py` on a {processor()}, Python {platform.python_version()}; "
        f"mesh engine at {options.size[0]}x{options.size[1]}.", "",
        "Memory is resident after the first minute, at the end, and at most. The clock counts samples at 16 kHz "
        "between where the last frame is and where it should be. Offsets are `liveavatar sync`'s in the first and "
        "the last half minute.", "",
        "| fps | length | frames too many | memory | speed | clock at the end | offset at the start | at the end | "
        "drift over all | memory for measuring | verdict |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for fps in options.fps:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(run(parse_fps(fps), options.hours, tuple(options.size), Path(folder)))
            print(lines[-1], flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

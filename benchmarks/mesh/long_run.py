"""Hours of speech through the mesh engine: memory, number of frames, and lip sync at the start and the end.

    python -m benchmarks.mesh.long_run --hours 3 --fps 25

The speech of the demo is repeated in a WAV file. Rendering takes about a sixth of the duration, at the lowest
resolution; `liveavatar sync` then measures twenty windows of half a minute.
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
from benchmarks.machine import describe_machine, results_path, write_results

import liveavatar
from liveavatar.frames import Samples
from liveavatar.sync.audio_track import stream_mono_audio
from liveavatar.sync.measure import measure_sync
from liveavatar.sync.report import SyncReport, build_sync_report
from liveavatar.timeline import SAMPLE_RATE, Timeline, parse_fps
from liveavatar.video.reader import open_video


@dataclass(slots=True, kw_only=True)
class Memory:
    """The resident set in MB, once for each minute of video."""

    fps: Fraction
    samples: list[float]

    def record(self, done: int, _total: int) -> None:
        """The progress callback of the rendering."""
        if done % round(60 * self.fps) == 0:
            self.samples.append(measure_resident_memory())


def measure_resident_memory() -> float:
    """The resident set of this process now, in MB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def repeat_speech(speech: list[Path], seconds: float) -> Iterator[Samples]:
    """Yield the recordings again and again, for exactly `seconds`."""
    remaining = round(seconds * SAMPLE_RATE)
    sounds = [np.concatenate(list(stream_mono_audio(path))) for path in speech]
    while remaining > 0:
        for sound in sounds:
            yield sound[:remaining]
            remaining -= min(remaining, len(sound))


def write_wav(path: Path, sound: Iterator[Samples]) -> Path:
    """Write a mono WAV at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for samples in sound:
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def check_end(video: Path, fps: Fraction, count: int) -> tuple[int, float]:
    """The number of surplus frames, and how late the last frame is, in samples at 16 kHz."""
    timeline = Timeline(fps=fps)
    with open_video(video) as file:
        last = [shown.time for shown in file.read_between(Fraction(count - 5) / fps, None)]
    return len(last) - 5, float(last[-1] - timeline.frame_time(count - 1)) * SAMPLE_RATE


def measure_long_video(fps: Fraction, hours: float, size: tuple[int, int], folder: Path) -> str:
    """Render a long video and measure it; returns a row of the table."""
    assets = Path(liveavatar.__file__).parent / "assets"
    speech = [assets / "demo_en.ogg", assets / "demo_zh.ogg"]
    sound = write_wav(folder / "speech.wav", repeat_speech(speech, 3600 * hours))
    count = Timeline(fps=fps).frame_count(round(3600 * hours * SAMPLE_RATE))
    memory, video = Memory(fps=fps, samples=[]), folder / "long.mp4"
    portrait = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    started = time.perf_counter()
    result = liveavatar.open(portrait, size=size).render(sound, video, fps=fps, progress=memory.record)
    elapsed = time.perf_counter() - started
    surplus, lateness = check_end(video, fps, count)
    before = measure_resident_memory()
    report = build_sync_report(measure_sync(video))
    first, last = measure_end_offsets(report)
    growth = measure_resident_memory() - before
    return (
        f"| {float(fps):.2f} | {hours:g} h | {result.frames - count + surplus:+d} | {memory.samples[0]:.0f} / "
        f"{memory.samples[-1]:.0f} / {max(memory.samples):.0f} MB | {3600 * hours / elapsed:.1f}x | {lateness:+.2f} | "
        f"{first:+.0f} ms | {last:+.0f} ms | {report.drift * 60 * hours:+.1f} ms | {growth:+.0f} MB | "
        f"{report.verdict} |"
    )


def measure_end_offsets(report: SyncReport) -> tuple[float, float]:
    """The median offsets, in ms, of the windows in the first and in the last half minute."""
    times = np.array([time for time, _, _ in report.windows])
    offsets = np.array([offset for _, offset, _ in report.windows])
    early, late = times < times[0] + 30, times > times[-1] - 30
    return float(np.median(offsets[early])), float(np.median(offsets[late]))


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--fps", nargs="*", default=["16", "25", "29.97"])
    parser.add_argument("--size", type=int, nargs=2, default=(96, 112), metavar=("W", "H"))
    parser.add_argument("-o", "--output", type=Path, default=results_path(__file__))
    options = parser.parse_args()
    lines = [
        "# The long run", "",
        f"Made by `benchmarks/mesh/long_run.py` on a {describe_machine()}, Python {platform.python_version()}; "
        f"mesh engine at {options.size[0]}x{options.size[1]}.", "",
        "Memory is the resident set after the first minute, at the end, and at most. The clock is the lateness of the "
        "last frame in samples at 16 kHz. Offsets are those of `liveavatar sync` in the first and the last half "
        "minute.", "",
        "| fps | length | surplus frames | memory | speed | clock at the end | offset at the start | at the end | "
        "drift over all | memory for measuring | verdict |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for fps in options.fps:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(measure_long_video(parse_fps(fps), options.hours, tuple(options.size), Path(folder)))
            print(lines[-1], flush=True)
    write_results(options.output, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

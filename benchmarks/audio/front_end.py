"""Speed of the audio front end and of the video writer.

    python -m benchmarks.audio.front_end --machine "2-core AMD EPYC" [--minutes 10]

Sound is the package's English speech, repeated; pictures are 512x512 with a part that moves as a mouth does. CPU time
is that of the whole process, which other load affects little; real-time factors are wall-clock.
Writes `benchmarks/results/MACHINE/audio/front_end.md`.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from importlib import resources
from pathlib import Path

import av
import numpy as np
import soxr  # type: ignore[import-untyped]
from benchmarks.machine import describe_machine, results_path, write_results

from liveavatar.audio.analysis.analyser import analyse_recording
from liveavatar.audio.front_end import StreamFrontEnd, read_speech
from liveavatar.frames import Picture, Samples
from liveavatar.video.writer import VideoWriter

RESULTS = results_path(__file__)
SIZE = (512, 512)


def demo_speech() -> Samples:
    """The package's English speech, 16 kHz mono."""
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        return np.concatenate(list(read_speech(path)[1]))


def write_sound(path: Path, seconds: int, rate: int, codec: str) -> Path:
    """Write stereo speech of that length."""
    speech = soxr.resample(demo_speech(), 16_000, rate)
    planes = np.repeat(speech[None], 2, axis=0).astype(np.float32)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        converter = av.AudioResampler(format=stream.codec_context.format.name, layout="stereo", rate=rate)
        for number in range(-(-seconds * rate // len(speech))):
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, number * len(speech), Fraction(1, rate)
            for piece in converter.resample(frame):
                output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return path


def pictures() -> list[Picture]:
    """Fifty frames of smooth texture with one moving patch."""
    noise = np.random.default_rng(0).normal(size=(64, 64, 3))
    ramp = np.kron(noise, np.ones((8, 8, 1)))
    kernel = np.hanning(25) / np.hanning(25).sum()
    for axis in (0, 1):
        ramp = np.apply_along_axis(np.convolve, axis, ramp, kernel, "same")
    texture = np.clip(128 + 120 * ramp, 0, 255).astype(np.uint8)
    frames = []
    for number in range(50):
        frame = texture.copy()
        frame[300:400, 200:320] = np.roll(texture, number % 9, axis=0)[300:400, 200:320]
        frames.append(frame)
    return frames


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a call."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def file_rows(folder: Path, seconds: int) -> dict[str, str]:
    """Speed of both passes over a long file."""
    rows = {}
    for suffix, codec, rate in (
        ("wav", "pcm_s16le", 44_100),
        ("mp3", "libmp3lame", 44_100),
        ("m4a", "aac", 48_000),
    ):
        path = write_sound(folder / f"a.{suffix}", seconds, rate, codec)
        clock, cpu = timed(lambda path=path: analyse_recording(path, fix=True))  # type: ignore[misc]
        rows[f"measure {suffix}, {rate} Hz stereo"] = f"{seconds / clock:.0f}x real time, {cpu:.2f} s CPU"
        _, chunks = read_speech(path, "as-is")
        clock, cpu = timed(lambda chunks=chunks: sum(map(len, chunks)))  # type: ignore[misc]
        rows[f"read {suffix} as 16 kHz mono"] = f"{seconds / clock:.0f}x real time, {cpu:.2f} s CPU"
    return rows


def live_rows() -> dict[str, str]:
    """CPU share and latency of live sound in 20 ms chunks."""
    rows = {}
    for rate, channels in ((16_000, 1), (24_000, 1), (48_000, 1), (44_100, 2)):
        sound = np.repeat(soxr.resample(demo_speech(), 16_000, rate)[: 8 * rate, None], channels, axis=1)
        chunks = np.split(sound, 400)
        front_end = StreamFrontEnd()
        counts: list[int] = []
        _, cpu = timed(lambda: counts.extend(len(front_end.push(chunk, rate)) for chunk in chunks))  # noqa: B023
        lag = 8 - sum(counts) / 16_000
        rows[f"live {rate} Hz, {channels} channels"] = f"lag {1000 * lag:.0f} ms, {cpu / 8:.1%} of a core"
    return rows


def writer_row(folder: Path) -> dict[str, str]:
    """Speed of writing pictures and sound to an mp4."""
    frames, count = pictures(), 1_000
    sound = write_sound(folder / "sound.wav", count // 25, 44_100, "pcm_s16le")

    def write() -> None:
        with VideoWriter(folder / "out.mp4", Fraction(25), SIZE, sound) as writer:
            for number in range(count):
                writer.write(frames[number % len(frames)])

    clock, cpu = timed(write)
    return {"write 512x512 with sound": f"{count / clock:.0f} fps, {1000 * cpu / count:.2f} ms CPU a frame"}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default=describe_machine(), help="the name of this machine in the table")
    parser.add_argument("--minutes", type=int, default=10, help="length of the files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = file_rows(folder, 60 * options.minutes) | live_rows() | writer_row(folder)
    lines = [
        "# Audio front end and video writer: speed",
        "",
        f"Machine: {options.machine}, {os.cpu_count()} cores; files of {options.minutes} min.",
        "Script: `benchmarks/audio/front_end.py`.",
        "",
        "| what | figures |",
        "| --- | --- |",
        *(f"| {what} | {figures} |" for what, figures in rows.items()),
    ]
    text = "\n".join(lines) + "\n"
    write_results(RESULTS, text)
    print(text)


if __name__ == "__main__":
    main()

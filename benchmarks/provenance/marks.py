"""What marks cost: time of a frame with the label, of listening for breaks, and of signing; bytes of a signature.

    pip install '.[credentials]'
    python -m benchmarks.provenance.marks

Each time is the median of many runs. Signing reads and writes the whole file once; its memory is the growth of the
largest resident set. Writes `benchmarks/results/MACHINE/provenance/marks.md`.
"""

import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median

import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results

from liveavatar.frames import VideoFrame
from liveavatar.generate import measure_peak_memory
from liveavatar.provenance.certificate import make_certificate
from liveavatar.provenance.credentials import read_credentials, sign_video
from liveavatar.provenance.frame_marker import FrameMarker
from liveavatar.provenance.policy import DigitalSourceType, MarkPolicy
from liveavatar.video.writer import VideoWriter

FPS = Fraction(25)
SIZES = ((512, 512), (704, 384), (1080, 1920))
PADDED_MEGABYTES = (0, 100, 1000)
FRAMES = 250


def time_runs(run: Callable[[], object], count: int) -> float:
    """Median seconds of a run."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def time_frames(size: tuple[int, int]) -> tuple[float, float]:
    """Median milliseconds of a frame with the label, and of one without it, whose sound is still listened to."""
    marker = FrameMarker(size, FPS, MarkPolicy(watermark=False))
    rgb = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    sound = 0.1 * np.random.default_rng(0).standard_normal(640).astype(np.float32)
    seconds = []
    for pts in range(FRAMES):
        start = time.perf_counter()
        marker.push(sound)
        marker.mark_frame(VideoFrame(rgb=rgb, pts=pts, fps=FPS))
        seconds.append(time.perf_counter() - start)
    return 1000 * median(seconds[:50]), 1000 * median(seconds[100:])


def measure_signing(folder: Path, megabytes: int) -> list[str]:
    """A row: size of the video, seconds to sign and to check it, bytes of the manifest, megabytes of memory."""
    video, signed = folder / "a.mp4", folder / "b.mp4"
    with VideoWriter(video, FPS, (64, 64)) as writer:
        for _ in range(25):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    with video.open("ab") as file:  # another box of data, as a long video has
        file.write((megabytes * 1_000_000 + 8).to_bytes(4) + b"mdat")
        for _ in range(megabytes):
            file.write(np.random.default_rng(0).bytes(1_000_000))
    signed.touch()
    certificate, before = make_certificate(), measure_peak_memory()
    count = 3 if megabytes else 20
    writing = time_runs(lambda: sign_video(video, signed, certificate, DigitalSourceType.COMPOSITE), count)
    reading = time_runs(lambda: read_credentials(signed), count)
    assert read_credentials(signed).state == "valid"
    added = signed.stat().st_size - video.stat().st_size
    grown = (measure_peak_memory() - before) / 1e6
    return [
        f"{video.stat().st_size / 1e6:.2f} MB",
        f"{writing:.3f}",
        f"{reading:.3f}",
        str(added),
        f"{grown:.0f}",
    ]


def format_table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---:"] * len(head), *rows))


def main() -> None:
    """Measure, and write the tables."""
    frames = [
        [f"{width}x{height}", *(f"{value:.3f}" for value in time_frames((width, height)))]
        for width, height in SIZES
    ]
    with tempfile.TemporaryDirectory() as folder:
        signing = [measure_signing(Path(folder), megabytes) for megabytes in PADDED_MEGABYTES]
    keys = [[f"{1000 * time_runs(make_certificate, 50):.1f}"]]
    text = (
        f"# What marks cost\n\n`python -m benchmarks.provenance.marks` on {describe_machine()}. Medians.\n\n"
        + format_table(["frame", "with the label, ms", "without it, ms"], frames)
        + "\n"
        + format_table(["self-made certificate, ms"], keys)
        + "\n"
        + format_table(["video", "sign, s", "check, s", "bytes added", "memory, MB"], signing)
    )
    write_results(results_path(__file__), text)
    print(text)


if __name__ == "__main__":
    main()

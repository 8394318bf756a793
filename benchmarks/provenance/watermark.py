"""Detection of the watermark after attacks, false alarms with wrong keys, and the cost of embedding.

    python -m benchmarks.provenance.watermark FILE… [--seconds 10] [--wrong-keys 25]

Each file is a picture, shown without motion (the worst case: nothing of it averages out), or a video. It is cut to at
most 512 pixels a side, marked, written as the program writes videos (x264 veryfast, crf 18), and attacked. Wrong keys
are tried on the unmarked frames, on the marked video and on its most damaged copy. The table is written anew after each
file, to `benchmarks/results/MACHINE/provenance/watermark.md`.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import Pool
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.provenance.watermark import WatermarkEmbedder
from liveavatar.provenance.watermark_detection import (
    MAX_FALSE_ALARM_PROBABILITY,
    analyse_scales,
    average_frames,
    estimate_false_alarm_probability,
    find_mark,
    normalise_contrast,
)
from liveavatar.provenance.watermark_pattern import DEFAULT_KEY, WatermarkKey
from liveavatar.video.reader import open_video

Frames = list[Picture]
FPS = 25
LARGEST_SIDE = 512
LEVELS = (0.1, 0.01, 0.001, 0.0001, MAX_FALSE_ALARM_PROBABILITY)


def load_frames(path: Path, count: int) -> Frames:
    """Frames of a picture or a video with even sides of at most `LARGEST_SIDE` pixels."""
    if path.suffix.lower() in {".png", ".jpg", ".jpeg"}:
        picture = cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB)
        return [cut_frame(np.asarray(picture, np.uint8))] * count
    with open_video(path) as video:
        return [cut_frame(picture.rgb) for picture in islice(video, count)]


def cut_frame(rgb: Picture) -> Picture:
    """The middle of a picture."""
    height, width = (min(side, LARGEST_SIDE) // 2 * 2 for side in rgb.shape[:2])
    top, left = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return np.ascontiguousarray(rgb[top : top + height, left : left + width])


def recode(frames: Frames, crf: int, codec: str = "libx264", **options: str) -> Frames:
    """Frames encoded and decoded."""
    file = io.BytesIO()
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream(codec, FPS, options={"crf": str(crf), "preset": "veryfast"} | options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = width, height, "yuv420p", 1
        for rgb in frames:
            picture = np.ascontiguousarray(rgb[:height, :width])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as container:
        decoded = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        return [np.asarray(rgb, np.uint8) for rgb in decoded]


def resize_frames(frames: Frames, factor: float) -> Frames:
    """Frames of another size."""
    resized = (cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for rgb in frames)
    return [np.asarray(rgb, np.uint8) for rgb in resized]


def crop_frames(frames: Frames) -> Frames:
    """A tenth of width and height cut off, more of it at the top and on the left."""
    height, width = frames[0].shape[:2]
    return [
        rgb[round(0.07 * height) : round(0.97 * height), round(0.06 * width) : round(0.96 * width)]
        for rgb in frames
    ]


def adjust_tones(frames: Frames, gain: float, gamma: float) -> Frames:
    """Frames with other brightness and contrast."""
    table = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)
    return [np.asarray(cv2.LUT(rgb, table), np.uint8) for rgb in frames]


def record_screen(frames: Frames) -> Frames:
    """Blurred, resampled by an odd factor, every sixth frame lost, other tones, encoded."""
    kept = [rgb for index, rgb in enumerate(frames) if index % 6 != 5]
    blurred = [np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.8), np.uint8) for rgb in kept]
    return recode(adjust_tones(resize_frames(blurred, 0.83), 0.97, 1.1), 26)


ATTACKS: dict[str, Callable[[Frames], Frames]] = {
    "none": lambda frames: frames,
    "H.264 crf 28": lambda frames: recode(frames, 28),
    "half size, crf 28": lambda frames: recode(resize_frames(frames, 0.5), 28),
    "crop of 10 %, crf 28": lambda frames: recode(crop_frames(frames), 28),
    "crop, enlarged again, crf 28": lambda frames: recode(resize_frames(crop_frames(frames), 1 / 0.9), 28),
    "three generations, crf 26": lambda frames: recode(recode(recode(frames, 26), 26), 26),
    "HEVC crf 30": lambda frames: recode(frames, 30, "libx265", **{"x265-params": "log-level=error"}),
    "VP9 crf 40": lambda frames: recode(frames, 40, "libvpx-vp9", deadline="realtime", **{"cpu-used": "8", "b": "0"}),
    "screen recording": record_screen,
    "mirrored, crf 28": lambda frames: recode([rgb[:, ::-1] for rgb in frames], 28),
    "brighter, crf 28": lambda frames: recode(adjust_tones(frames, 1.15, 0.9), 28),
    "crop, then half size, crf 28": lambda frames: recode(resize_frames(crop_frames(frames), 0.5), 28),
}  # fmt: skip
HARDEST = "crop, then half size, crf 28"


@dataclass
class Results:
    """What was measured on all files so far."""

    strengths: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ATTACKS})
    wrong: list[float] = field(default_factory=list)
    unmarked: list[float] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def add_file(self, other: "Results") -> None:
        """Append what was measured on another file."""
        for name, values in other.strengths.items():
            self.strengths[name] += values
        self.wrong += other.wrong
        self.unmarked += other.unmarked
        self.psnr += other.psnr
        self.misses += other.misses


def analyse_frames(frames: Frames) -> NDArray[np.complex64]:
    """The phasors of a video."""
    average = average_frames(frames)
    assert average is not None
    return analyse_scales(normalise_contrast(average))


def measure_file(path: Path, frame_count: int, wrong_keys: int) -> Results:
    """Mark one file, attack it, and try the right key and wrong ones."""
    results = Results()
    frames = load_frames(path, frame_count)
    height, width = frames[0].shape[:2]
    embedder = WatermarkEmbedder((width, height))
    marked = [embedder.embed(rgb) for rgb in frames]
    results.psnr.append(measure_psnr(frames[0], marked[0]))
    unmarked = analyse_frames(frames)
    results.unmarked.append(find_mark(unmarked, DEFAULT_KEY).strength)
    tried = [unmarked]
    written = recode(marked, 18)
    for name, attack in ATTACKS.items():
        phasors = analyse_frames(attack(written))
        finding = find_mark(phasors, DEFAULT_KEY)
        results.strengths[name].append(finding.strength)
        if not finding.is_found:
            results.misses.append(f"{path.name} ({width}x{height}), {name}: {finding.strength:.1f}")
        if name in {"none", HARDEST}:
            tried.append(phasors)
    for index, phasors in enumerate(tried):
        keys = (WatermarkKey(f"{path.name} {index} {number}".encode()) for number in range(wrong_keys))
        results.wrong += [find_mark(phasors, key).strength for key in keys]
    return results


def measure_psnr(original: Picture, marked: Picture) -> float:
    """Peak signal-to-noise ratio in decibels."""
    return float(cv2.PSNR(original, marked))


def measure_embedding() -> float:
    """Median milliseconds of processor time to mark a frame of 512x512, over 500 frames on one thread."""
    cv2.setNumThreads(1)
    rgb = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    embedder, costs = WatermarkEmbedder((512, 512)), []
    for _ in range(500):
        start = time.thread_time()
        embedder.embed(rgb)
        costs.append(1000 * (time.thread_time() - start))
    return statistics.median(costs)


def format_results(results: Results, seconds: float, cost: float) -> str:
    """The page of tables."""
    found = {
        name: sum(estimate_false_alarm_probability(value) < MAX_FALSE_ALARM_PROBABILITY for value in values)
        for name, values in results.strengths.items()
    }
    rows = [
        f"| {name} | {found[name]} of {len(values)} | {min(values):.1f} | {statistics.median(values):.1f} |"
        for name, values in results.strengths.items()
    ]
    total = sum(map(len, results.strengths.values()))
    wrong = [estimate_false_alarm_probability(value) for value in results.wrong]
    null = [
        f"| {level:g} | {level * len(wrong):.1f} | {sum(value < level for value in wrong)} |"
        for level in LEVELS
    ]
    return "\n".join([
        "# Watermark: detection, false alarms, cost", "",
        f"Machine: {describe_machine()}. Script: `benchmarks/provenance/watermark.py`, which says what is measured;",
        f"{len(results.psnr)} files, clips of at most {seconds:g} s.", "",
        f"Embedding, 512x512, one core: {cost:.2f} ms a frame. PSNR, first frame: lowest {min(results.psnr):.1f} "
        f"dB, median {statistics.median(results.psnr):.1f} dB.", "",
        f"Found after attacks: {sum(found.values())} of {total}.", "",
        "| attack | found | lowest strength | median strength |", "| --- | --- | --- | --- |", *rows, "",
        "Missed: " + ("; ".join(results.misses) or "none") + ".", "",
        f"The default key in the {len(results.unmarked)} unmarked files: strength at most {max(results.unmarked):.2f}.",
        f"Wrong keys: {len(wrong)} trials, largest strength {max(results.wrong, default=0):.2f}; "
        "reported probabilities below a level:", "",
        "| level | expected | counted |", "| --- | --- | --- |", *null, "",
    ])  # fmt: skip


def main() -> None:
    """Measure all files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--wrong-keys", type=int, default=25, help="on each of three versions of a file")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    results, cost = Results(), measure_embedding()
    measure = partial(measure_file, frame_count=round(options.seconds * FPS), wrong_keys=options.wrong_keys)
    with Pool(options.jobs, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        for found in pool.imap_unordered(measure, options.files):
            results.add_file(found)
            write_results(results_path(__file__), format_results(results, options.seconds, cost))
            print(len(results.psnr), found.misses, flush=True)


if __name__ == "__main__":
    main()

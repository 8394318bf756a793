"""What each codec and quality costs, and what it keeps of the frames of the `mesh` engine.

The demo's portrait speaks two seconds and rests two. Processor time is that of all threads, colour conversion
included, the least of `--runs`. Detail is the luma of the face less its Gaussian blur (sigma 1), without the strongest
tenth, which are edges.

- kept: the regression of the decoded detail on the renderer's in the last second, at rest; 1 if nothing is lost, and
  noise of the codec does not count;
- strength: the standard deviation of the decoded detail over the renderer's, at rest; above 1 is noise of the codec;
- pulsing: change of what is kept from one frame to the next while the portrait speaks, in the mean and at most.

Run: python -m benchmarks.video.encoding
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path

import av
import cv2
import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray

from liveavatar.audio.front_end import read_speech
from liveavatar.background import TRANSPARENT, replace_background
from liveavatar.cli.commands.demo import find_demo_portrait
from liveavatar.face.portrait import load_portrait
from liveavatar.frames import VideoFrame
from liveavatar.mesh.session import MeshEngine
from liveavatar.video.color import rgb_to_yuv420
from liveavatar.video.encoder import VideoFileEncoder
from liveavatar.video.formats import (
    CODECS,
    CONTAINERS,
    QUALITIES,
    EncodingOptions,
    VideoCodec,
    VideoFormat,
    choose_format,
)
from liveavatar.video.sound_codecs import AAC

SIZE = (512, 512)
FPS = Fraction(25)
SPEECH_SECONDS, REST_SECONDS = 2, 2
SETTLING_FRAMES = 3  # the first key frame is better than what follows
REST_FRAMES = 25  # judged, at the end
EDGE_SHARE = 10  # percent

BEFORE = VideoFormat(
    container=CONTAINERS[".mp4"],
    codec=VideoCodec(
        encoder="libx264",
        pixel_format="yuv420p",
        common={"x264-params": "chromaloc=1"},
        qualities={"good": {"preset": "veryfast", "crf": "18"}},
    ),
    quality="good",
    sound=AAC,
)
"""With B-frames and without tune grain, for comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingCost:
    """The figures of one row."""

    milliseconds: float
    kilobytes: float
    kept: float
    strength: float
    pulsing: float
    strongest_pulse: float


def render_frames(background: str | None) -> tuple[list[VideoFrame], tuple[slice, slice]]:
    """Frames of the demo's portrait, and the rows and columns of its face."""
    actor = MeshEngine().open(load_portrait(find_demo_portrait()), SIZE)
    left, top, right, bottom = actor.renderer.face_box
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        speech = np.concatenate(list(read_speech(path)[1]))[: SPEECH_SECONDS * 16_000]
    chosen = replace_background(actor, background)
    session = chosen.session(FPS, 0)
    session.push(np.concatenate([speech, np.zeros(REST_SECONDS * 16_000, np.float32)]))
    session.flush()
    return list(session.frames()), (slice(top, bottom), slice(left, right))


def encode_frames(frames: list[VideoFrame], video_format: VideoFormat, path: Path) -> float:
    """Milliseconds of processor time for each frame."""
    start = time.process_time()
    encoder = VideoFileEncoder(path, FPS, SIZE, None, {}, video_format)
    for frame in frames:
        encoder.add_picture(frame.rgb, frame.opacity)
    encoder.finish()
    return 1000 * (time.process_time() - start) / len(frames)


def decode_luma(path: Path) -> Iterator[NDArray[np.float32]]:
    """Luma of each picture, stretched from limited range to 0…255."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            plane = np.asarray(frame.to_ndarray(format="gray16le"), np.float32)
            yield np.asarray(plane[: SIZE[1]] / 257, np.float32)


def find_detail(luma: NDArray[np.float32], face: tuple[slice, slice]) -> NDArray[np.float32]:
    """The fine detail of the face."""
    part = np.ascontiguousarray(luma[face])
    return np.asarray(part - cv2.GaussianBlur(part, (0, 0), 1.0), np.float32)


def measure_encoding(
    frames: list[VideoFrame], face: tuple[slice, slice], video_format: VideoFormat, suffix: str, runs: int
) -> EncodingCost:
    """Encode, decode, compare."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        milliseconds = min(encode_frames(frames, video_format, path) for _ in range(runs))
        size, decoded = path.stat().st_size, list(decode_luma(path))
    kept, strength = [], []
    for frame, luma in zip(frames, decoded, strict=True):
        source = (rgb_to_yuv420(frame.rgb)[: SIZE[1]].astype(np.float32) - 16) * np.float32(255 / 219)
        own, left = find_detail(source, face), find_detail(luma, face)
        is_texture = np.abs(own) <= np.percentile(np.abs(own), 100 - EDGE_SHARE)
        own, left = own[is_texture], left[is_texture]
        kept.append(float((own * left).sum() / (own * own).sum()))
        strength.append(float(left.std() / own.std()))
    changes = np.abs(np.diff(kept[SETTLING_FRAMES : SPEECH_SECONDS * int(FPS)]))
    return EncodingCost(
        milliseconds=milliseconds,
        kilobytes=size / len(frames) * float(FPS) / 1000,
        kept=float(np.mean(kept[-REST_FRAMES:])),
        strength=float(np.mean(strength[-REST_FRAMES:])),
        pulsing=float(changes.mean()),
        strongest_pulse=float(changes.max()),
    )


def measure_formats(runs: int) -> Iterator[tuple[str, str, EncodingCost]]:
    """A row for each container, codec and quality."""
    opaque, face = render_frames(None)
    yield (
        "h264 with B-frames, no tune",
        "veryfast, crf 18",
        measure_encoding(opaque, face, BEFORE, ".mp4", runs),
    )
    for name in CODECS:
        suffix = next(ending for ending, container in CONTAINERS.items() if name in container.codecs)
        for quality in QUALITIES:
            chosen = choose_format(Path(f"a{suffix}"), EncodingOptions(codec=name, quality=quality))
            yield f"{suffix}, {name}", quality, measure_encoding(opaque, face, chosen, suffix, runs)
    transparent, face = render_frames(TRANSPARENT)
    for suffix in (ending for ending, container in CONTAINERS.items() if container.alpha):
        for quality in QUALITIES:
            chosen = choose_format(Path(f"a{suffix}"), EncodingOptions(quality=quality), has_alpha=True)
            name = f"{suffix}, transparent"
            yield name, quality, measure_encoding(transparent, face, chosen, suffix, runs)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    lines = [
        "# Encoding: cost, size, detail",
        "",
        f"Machine: {describe_machine()}, {os.cpu_count()} cores. Frames of 512x512 at 25 fps, no sound. Script:",
        "`benchmarks/video/encoding.py`, which says what is what. CPU ms are those of all threads for one frame; 1000",
        "over them are the frames a second of one core.",
        "",
        "| format | quality | CPU ms | kB a second | detail kept | strength | pulsing | at most |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, quality, cost in measure_formats(options.runs):
        lines.append(
            f"| {name} | {quality} | {cost.milliseconds:.1f} | {cost.kilobytes:.0f} | {cost.kept:.1%} | "
            f"{cost.strength:.3f} | {cost.pulsing:.2%} | {cost.strongest_pulse:.1%} |"
        )
        print(lines[-1], flush=True)
    write_results(results_path(__file__), "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

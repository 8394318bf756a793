"""Lay frames of videos side by side, to judge them at a glance.

    python tools/contact_sheet.py out/demo.mp4 -o sheet.png
    python tools/contact_sheet.py out/*.mp4 --frames 24 --whole

Each video gets a block: frames evenly spread over its length with their times, cut to the face unless `--whole`;
under them its sound, with a mark for each frame shown. `--from` and `--to` look closer at a stretch.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.front_end import read_speech
from liveavatar.errors import PortraitError
from liveavatar.face.search import find_faces

TILE = 224
COLUMNS = 8
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One frame and its time in seconds."""

    time: float
    rgb: Image


def read_shots(video: Path, count: int, start: float, end: float | None) -> list[Shot]:
    """`count` frames evenly spread over [start, end)."""
    with av.open(str(video)) as file:
        stream = file.streams.video[0]
        length = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        wanted = iter(np.linspace(start, min(end or length, length), count, endpoint=False))
        return list(pick_frames(file, wanted))


def pick_frames(file: av.container.InputContainer, wanted: Iterator[np.float64]) -> Iterator[Shot]:
    """The first frame at or after each wanted time."""
    target = next(wanted, None)
    for frame in file.decode(video=0):
        if target is None:
            return
        if (frame.time or 0.0) >= target - 1e-6:
            yield Shot(time=frame.time or 0.0, rgb=np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            target = next(wanted, None)


def find_face_box(rgb: Image) -> tuple[int, int, int, int]:
    """A box around the largest face with room for chin and hair, or the whole picture."""
    height, width = rgb.shape[:2]
    try:
        faces = find_faces(rgb)
    except PortraitError:
        faces = []
    if not faces:
        return 0, 0, width, height
    points = max(faces, key=lambda face: face.trust).landmarks[:468, :2]
    centre, half = (points.min(0) + points.max(0)) / 2, 0.62 * float(np.ptp(points, axis=0).max())
    x0, y0 = (max(0, int(value)) for value in centre - half)
    return x0, y0, min(width, int(centre[0] + half)), min(height, int(centre[1] + half))


def draw_tile(shot: Shot, box: tuple[int, int, int, int]) -> Image:
    """One labelled picture."""
    x0, y0, x1, y1 = box
    cut = shot.rgb[y0:y1, x0:x1]
    scale = TILE / max(cut.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=how)
    canvas = np.zeros((TILE, TILE, 3), np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    cv2.putText(canvas, f"{shot.time:.2f}", (4, TILE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 0), 1)
    return canvas


def draw_waveform(video: Path, times: list[float], start: float, end: float, width: int) -> Image:
    """The sound between two times, with a mark where each frame was taken."""
    _, chunks = read_speech(video, "as-is")
    sound = np.concatenate(list(chunks))[int(start * 16000) : int(end * 16000)]
    strip = np.full((48, width, 3), 24, np.uint8)
    for column, part in enumerate(np.array_split(np.abs(sound), width)):
        reach = int(min(23, 60 * float(part.max(initial=0.0))))
        strip[24 - reach : 24 + reach + 1, column] = (120, 170, 220)
    for time in times:
        column = int((time - start) / max(end - start, 1e-6) * (width - 1))
        strip[:, column] = (255, 255, 0)
    return strip


def draw_video(video: Path, count: int, start: float, end: float | None, *, whole: bool) -> Image:
    """One video's frames and sound."""
    taken = read_shots(video, count, start, end)
    height, width = taken[0].rgb.shape[:2]
    box = (0, 0, width, height) if whole else find_face_box(taken[0].rgb)
    tiles = [draw_tile(shot, box) for shot in taken]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[first : first + COLUMNS]) for first in range(0, len(tiles), COLUMNS)]
    last = end or taken[-1].time + (taken[-1].time - taken[0].time) / max(1, len(taken) - 1)
    strip = draw_waveform(video, [shot.time for shot in taken], start, last, COLUMNS * TILE)
    return np.vstack([*rows, strip])


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("out/contact_sheet.png"))
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--from", dest="start", type=float, default=0.0)
    parser.add_argument("--to", dest="end", type=float, default=None)
    parser.add_argument("--whole", action="store_true", help="whole frames instead of faces")
    options = parser.parse_args()
    blocks = [
        draw_video(video, options.frames, options.start, options.end, whole=options.whole)
        for video in options.videos
    ]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    sheet = cv2.cvtColor(np.vstack(blocks), cv2.COLOR_RGB2BGR)
    options.output.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
    print(options.output)


if __name__ == "__main__":
    main()

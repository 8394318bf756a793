"""Blinks: contact sheets of both eyes, what is left of the opening, and what lids cost.

    python -m benchmarks.mesh.eyes [PICTURE…]

For each picture (by default those that come with matplotlib and scikit-image) it draws both eyes, enlarged, over a
whole blink into `out/eyes/NAME.png`, and reports:

- left: opening in the deepest frames by the landmark network, relative to the portrait (a filmed man's: 22 %); it puts
  the upper lid above the lashes and never reads 0;
- lids: time to draw the lids of both eyes, once a portrait, and their memory;
- blink, gaze: what a blink, and a gaze aside, adds to a frame.

Times are processor times, the shortest of several. Writes `benchmarks/results/MACHINE/mesh/eyes.md`.
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results
from benchmarks.mesh.faces import default_pictures, measure_eye_opening

from liveavatar.face.landmarks import enclose_landmarks, predict_landmarks
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.frames import Picture
from liveavatar.mesh.expression import RESTING_ARTICULATION, build_expression
from liveavatar.mesh.geometry.face_landmarks import EYE_LANDMARKS
from liveavatar.mesh.motion.head_pose import RESTING_POSE
from liveavatar.mesh.render.closed_lids import draw_lid_levels
from liveavatar.mesh.render.face_renderer import FaceRenderer, FrameExpression
from liveavatar.mesh.session import MeshEngine

SHEETS = Path("out/eyes")
CLOSURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
TILE_PIXELS = 220
HEAD = [
    "# Mesh engine: blinks",
    "",
    f"Machine: {describe_machine()}. Script: `benchmarks/mesh/eyes.py`, which says what the columns are.",
    "",
    "| portrait | width of an eye | left | lids | blink | gaze |",
    "| --- | --- | --- | --- | --- | --- |",
]


def express_eyes(blink: float, gaze: float = 0.0) -> FrameExpression:
    """A face at rest that blinks and looks aside."""
    pose = replace(RESTING_POSE, blink_left=blink, blink_right=blink, gaze_x=gaze)
    return build_expression(RESTING_ARTICULATION, pose)


def draw_sheet(renderer: FaceRenderer) -> Picture:
    """Both eyes over a whole blink, a row an eye."""
    frames = [renderer.render(express_eyes(blink)) for blink in CLOSURES]
    rows = []
    for layers in renderer.eye_layers:
        eye = layers.window.contours
        centre, half = eye.moving_corners.mean(0), 0.8 * eye.width
        x, y = np.maximum(centre - half, 0).astype(int)
        side = int(2 * half)
        tiles = [frame[y : y + side, x : x + side] for frame in frames]
        size = (TILE_PIXELS, TILE_PIXELS)
        rows.append(np.hstack([cv2.resize(tile, size, interpolation=cv2.INTER_CUBIC) for tile in tiles]))
    return np.asarray(np.vstack(rows), np.uint8)


def measure_opening(portrait: Portrait, rgb: Picture) -> float:
    """Mean opening of both eyes, height over width."""
    landmarks = predict_landmarks(rgb, enclose_landmarks(portrait.landmarks))[0][:, :2]
    return float(np.mean([measure_eye_opening(landmarks, eye) for eye in EYE_LANDMARKS]))


def fastest_milliseconds(*works: Callable[[], object], times: int = 40) -> list[float]:
    """The shortest processor time of each of `works`, which are done by turns."""
    best = [math.inf] * len(works)
    for _ in range(times):
        for index, work in enumerate(works):
            start = time.process_time()
            work()
            best[index] = min(best[index], time.process_time() - start)
    return [1000 * seconds for seconds in best]


def measure_portrait(portrait: Portrait, renderer: FaceRenderer) -> str:
    """The cells of one portrait."""
    eyes = renderer.eye_layers
    shut = renderer.render(express_eyes(1.0))
    left = measure_opening(portrait, shut) / measure_opening(portrait, portrait.rgb)
    (lids,) = fastest_milliseconds(lambda: [draw_lid_levels(eye.lid_window) for eye in eyes], times=5)
    megabytes = sum(eye.lids.nbytes for eye in eyes) / 1e6
    still, shut_eyes, aside = express_eyes(0.0), express_eyes(1.0), express_eyes(0.0, 0.05)
    rest, blink, gaze = fastest_milliseconds(
        lambda: renderer.render(still), lambda: renderer.render(shut_eyes), lambda: renderer.render(aside)
    )
    width = np.mean([eye.window.contours.width for eye in eyes])
    return (
        f"{width:.0f} px | {100 * left:.0f} % | {lids:.0f} ms, {megabytes:.1f} MB | "
        f"{max(blink - rest, 0):.2f} ms | {max(gaze - rest, 0):.2f} ms"
    )


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", type=Path)
    SHEETS.mkdir(parents=True, exist_ok=True)
    rows = []
    cv2.setNumThreads(1)
    for path in parser.parse_args().pictures or default_pictures():
        portrait = load_portrait(path)
        renderer = MeshEngine().open(portrait, None).renderer
        if not renderer.eye_layers:
            rows.append(f"| {path.name} | shows no eyes | | | | |")
            continue
        sheet = cv2.cvtColor(draw_sheet(renderer), cv2.COLOR_RGB2BGR)
        (SHEETS / f"{path.stem}.png").write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
        rows.append(f"| {path.name} | {measure_portrait(portrait, renderer)} |")
        print(rows[-1], flush=True)
    write_results(results_path(__file__), "\n".join([*HEAD, *rows]) + "\n")


if __name__ == "__main__":
    main()

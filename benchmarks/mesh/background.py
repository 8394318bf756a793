"""What a moved head uncovers, against the truth: eight drawn heads before walls and photographs.

    python -m benchmarks.mesh.background [--label NAME]

Each head of `tools.heads` is drawn with the wall behind it, and put before three photographs that come with
scikit-image. It moves to four extremes (0.2 distances of the eyes, 5°). Where the moved head uncovers what the portrait
hides, the frame is compared with the true background:

- PSNR of these pixels, in dB. A blur scores well here: structures that go on plausibly but not truly score badly;
- rim: share of the pixels along the old silhouette (0.06 distances of the eyes on both sides) that differ from the
  truth by more than 15 grey levels: a halo, or person left behind. Only before walls, where the truth can be foreseen;
- detail: mean difference of neighbours over the true one; 1 is as sharp and grainy as the background, 0 a smear;
- edge: error of the opacity against the true mask, mean over pixels within 0.1 distances of the eyes of the edge, %;
- time: processor time of separating person and background.

Writes `benchmarks/results/MACHINE/mesh/background.md` and sheets into `out/background/`.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from benchmarks.downloads import DRAWN_HEAD, download_member, download_wheel
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray
from tools.heads.draw import DrawnHead, draw_head
from tools.heads.mesh import Wheel
from tools.heads.recipes import PEOPLE

from liveavatar.face.crop import crop_portrait
from liveavatar.face.picture import read_picture
from liveavatar.face.portrait import find_portrait
from liveavatar.frames import Picture
from liveavatar.mesh.expression import RESTING_ARTICULATION, build_expression
from liveavatar.mesh.geometry.boxes import slice_box
from liveavatar.mesh.motion.head_pose import RESTING_POSE
from liveavatar.mesh.render.face_renderer import FaceRenderer, FrameExpression
from liveavatar.mesh.render.person_separation import separate_person
from liveavatar.mesh.session import MeshEngine

CACHE, SHEETS = Path("out/heads"), Path("out/background")
SIDE = 640
WALL = "wall"
PHOTOGRAPHS = ("coffee.png", "rocket.jpg", "chelsea.png")
_SILHOUETTE, _EDGE_BAND = 0.06, 0.1
_VISIBLE_ERROR = 15
_DEGREE = np.pi / 180
EXTREMES = (
    {"shift_x": 0.19, "shift_y": -0.1, "roll": 4 * _DEGREE, "yaw": 4 * _DEGREE},
    {"shift_x": -0.19, "shift_y": 0.08, "roll": -4 * _DEGREE, "yaw": -4 * _DEGREE},
    {"shift_y": 0.19, "pitch": 4 * _DEGREE},
    {"shift_y": -0.17, "roll": 5 * _DEGREE},
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackgroundCase:
    """A portrait, what stands behind the person, and the person's mask, 0…1."""

    head: str
    scene: str
    rgb: Picture
    background: Picture
    mask: NDArray[np.float32]


def list_background_cases() -> Iterator[BackgroundCase]:
    """Every head before its wall and before the photographs."""
    wheel = Wheel(download_wheel(DRAWN_HEAD))
    for name in PEOPLE:
        head = _draw_cached(wheel, name)
        mask = head.masks["person"].astype(np.float32) / np.float32(255)
        for scene in (WALL, *PHOTOGRAPHS):
            background = head.background if scene == WALL else _read_photograph(scene)
            change = background.astype(np.float32) - head.background
            rgb = np.rint(np.clip(head.rgb + (1 - mask[..., None]) * change, 0, 255)).astype(np.uint8)
            yield BackgroundCase(head=name, scene=scene, rgb=rgb, background=background, mask=mask)


def _draw_cached(wheel: Wheel, name: str) -> DrawnHead:
    """A drawn head; kept, since it takes seconds."""
    path = CACHE / f"{name}.background.npz"
    if not path.exists():
        head = draw_head(wheel, PEOPLE[name], (SIDE, SIDE))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, rgb=head.rgb, background=head.background, person=head.masks["person"])
    with np.load(path) as kept:
        rgb, background, person = kept["rgb"], kept["background"], kept["person"]
    return DrawnHead(rgb=rgb, shut=rgb, background=background, masks={"person": person})


def _read_photograph(name: str) -> Picture:
    """The middle square of a photograph of scikit-image."""
    rgb = read_picture(download_member("scikit-image==0.25.2", f"skimage/data/{name}"))
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    square = rgb[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def list_extremes() -> list[FrameExpression]:
    """Faces at rest, moved."""
    return [build_expression(RESTING_ARTICULATION, replace(RESTING_POSE, **pose)) for pose in EXTREMES]


def find_uncovered(renderer: FaceRenderer, expression: FrameExpression) -> NDArray[np.bool_]:
    """The pixels in which the moved person is not seen at all."""
    height, width = renderer.static_picture.shape[:2]
    opacity = np.zeros((height, width), np.uint8)
    slice_box(opacity, renderer.moving_box)[:] = renderer.render_figure(expression)[..., 3]
    outside = np.ones((height, width), np.uint8)
    slice_box(outside, renderer.moving_box)[:] = 0
    return np.asarray((opacity == 0) & (outside == 0))


def measure_case(case: BackgroundCase) -> tuple[dict[str, float], Picture]:
    """The figures of one portrait, and its sheet."""
    portrait = crop_portrait(find_portrait(case.rgb), None)
    started = time.process_time()
    opacity = separate_person(portrait.rgb, portrait.matte, portrait.landmarks)[2]
    seconds = time.process_time() - started
    renderer = MeshEngine().open(portrait, None).renderer
    edge = _measure_distance(case.mask > 0.5) + _measure_distance(case.mask <= 0.5)
    band = edge < _EDGE_BAND * renderer.unit
    errors, rims, details, true_details, tiles = [], [], [], [], [case.rgb]
    for expression in list_extremes():
        frame = renderer.render(expression)
        free = find_uncovered(renderer, expression)
        uncovered = free & (case.mask > 0)
        error = frame.astype(np.float32) - case.background
        errors.append(np.square(error[uncovered]).ravel())
        rims.append(np.abs(error).max(2)[free & (edge < _SILHOUETTE * renderer.unit)] > _VISIBLE_ERROR)
        inner = cv2.erode(uncovered.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        details.append(_measure_detail(frame)[inner])
        true_details.append(_measure_detail(case.background)[inner])
        tiles.append(frame)
    figures = {
        "psnr": float(10 * np.log10(255**2 / np.concatenate(errors).mean())),
        "rim": float(100 * np.concatenate(rims).mean()),
        "detail": float(np.concatenate(details).mean() / np.concatenate(true_details).mean()),
        "edge": float(100 * np.abs(opacity / 255 - case.mask)[band].mean()),
        "time": seconds,
    }
    return figures, np.asarray(np.hstack([*tiles, case.background])[::2, ::2])


def _measure_distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _measure_detail(rgb: Picture) -> NDArray[np.float32]:
    """Difference of each pixel from the one on its right and the one below, [h, w]."""
    values = rgb.astype(np.float32)
    right, below = np.roll(values, -1, axis=1), np.roll(values, -1, axis=0)
    return np.asarray((np.abs(right - values) + np.abs(below - values)).mean(2), np.float32)


def format_scenes(figures: dict[str, list[dict[str, float]]], label: str) -> list[str]:
    """A row for each kind of background: means over the heads."""
    rows = []
    for scene, found in figures.items():
        mean = {name: float(np.mean([case[name] for case in found])) for name in found[0]}
        rim = f"{mean['rim']:.1f} %" if scene == WALL else ""
        rows.append(
            f"| {label} | {scene} | {mean['psnr']:.1f} dB | {rim} | {mean['detail']:.2f} | {mean['edge']:.1f} % | "
            f"{mean['time']:.2f} s |"
        )
    return rows


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--label", default="now", help="what the rows are called")
    label = parser.parse_args().label
    cv2.setNumThreads(1)
    SHEETS.mkdir(parents=True, exist_ok=True)
    figures: dict[str, list[dict[str, float]]] = defaultdict(list)
    for case in list_background_cases():
        found, sheet = measure_case(case)
        figures[case.scene].append(found)
        path = SHEETS / f"{case.head}-{Path(case.scene).stem}.png"
        path.write_bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())
        print(case.head, case.scene, {name: round(value, 3) for name, value in found.items()}, flush=True)
    head = [
        "# Mesh engine: the background behind a moved head",
        "",
        f"Machine: {describe_machine()}. Script: `benchmarks/mesh/background.py`, which says what the columns are.",
        "Means over the eight drawn heads.",
        "",
        "| | background | PSNR | rim | detail | edge | time |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    write_results(results_path(__file__), "\n".join([*head, *format_scenes(figures, label)]) + "\n")


if __name__ == "__main__":
    main()

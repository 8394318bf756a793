"""Mouths of many portraits: what the check says of them, and how their drawn visemes measure up.

Ten known portraits, thirty drawn open mouths (`tools.heads.open_mouths`), whose shut mouths are drawn too, and twenty
open-mouthed frames of a filmed man, whose own shut frames are the truth.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from benchmarks.downloads import DRAWN_HEAD, download_astronaut, download_filmed_man, download_wheel
from benchmarks.mesh.filmed_person import read_film
from numpy.typing import NDArray
from tools.heads.draw import DrawnHead, draw_head, draw_portrait
from tools.heads.mesh import Wheel
from tools.heads.open_mouths import MOUTHS
from tools.heads.recipes import PEOPLE

from liveavatar.cli.commands.demo import find_demo_portrait
from liveavatar.face.crop import crop_portrait
from liveavatar.face.inspection.mouth_profile import LevelMouth, MouthState, measure_mouth_profile
from liveavatar.face.picture import read_picture
from liveavatar.face.portrait import Portrait, find_portrait
from liveavatar.frames import Picture
from liveavatar.mesh.expression import MouthArticulation, build_expression
from liveavatar.mesh.geometry.face_landmarks import interocular_distance
from liveavatar.mesh.motion.head_pose import RESTING_POSE
from liveavatar.mesh.mouth_ways import MOUTH_WAYS
from liveavatar.mesh.self_check import CHECKED_VISEMES, judge_drawn_mouth, measure_drawn_mouth
from liveavatar.mesh.session import MeshActor, MeshEngine
from liveavatar.report import find_worst_level

CACHE, SHEETS = Path("out/heads"), Path("out/faces")
_KNOWN_SIDE = 640
_FILM_FRAMES, _OPEN_LIPS, _SHUT_LIPS = 20, 0.06, 0.015
"""Frames taken of the film, and the gap between its lips, in distances of the eyes, that is open and shut."""
_VISIBLE_TEETH = 0.008
"""Area of teeth over the square of the mouth's width from which a drawn mouth shows them."""
_SHEET_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MouthCase:
    """A portrait and what is known of it: what its mouth shows, and the picture of the same mouth shut."""

    name: str
    rgb: Picture
    shows: MouthState | None = None
    shut: Picture | None = None


def list_cases(more: Sequence[Path] = ()) -> Iterator[MouthCase]:
    """All portraits; `more` are further pictures, of which nothing is known."""
    yield MouthCase(name="grace hopper", rgb=read_picture(find_demo_portrait()), shows="shut")
    yield MouthCase(name="astronaut", rgb=read_picture(download_astronaut()), shows="teeth")
    wheel = Wheel(download_wheel(DRAWN_HEAD))
    for name in PEOPLE:
        yield MouthCase(name=name, rgb=_draw_known(wheel, name), shows="shut")
    for name in MOUTHS:
        head = _draw_mouth(wheel, name)
        yield MouthCase(name=name, rgb=head.rgb, shows=find_shown(head), shut=head.shut)
    yield from list_film_frames()
    yield from (MouthCase(name=path.stem, rgb=read_picture(path)) for path in more)


def find_shown(head: DrawnHead) -> MouthState:
    """What a drawn open mouth shows, by its masks."""
    lips = np.maximum(head.masks["upper_lip"], head.masks["lower_lip"]).max(0) > 127
    width = float(np.ptp(np.flatnonzero(lips)))
    return "teeth" if head.masks["teeth"].sum() / 255 / width**2 > _VISIBLE_TEETH else "parted"


def list_film_frames() -> Iterator[MouthCase]:
    """Open-mouthed frames of the filmed man, each with the shut frame whose head is nearest."""
    frames = read_film(download_filmed_man())[0]
    faces = [find_portrait(rgb) for rgb in frames]
    gaps = np.array([_lip_gap(face) for face in faces])
    shut, opened = np.flatnonzero(gaps < _SHUT_LIPS), np.flatnonzero(gaps > _OPEN_LIPS)
    for index in opened[np.linspace(0, len(opened) - 1, _FILM_FRAMES).astype(int)]:
        nearest = min(shut, key=lambda other: _face_distance(faces[index], faces[other]))
        yield MouthCase(name=f"filmed man, frame {index}", rgb=frames[index], shut=frames[nearest])


def _lip_gap(face: Portrait) -> float:
    return float(face.landmarks[14, 1] - face.landmarks[13, 1]) / interocular_distance(face.landmarks)


def _face_distance(one: Portrait, other: Portrait) -> float:
    """How differently two heads are turned: distance of the eyes and the nose around their middle."""
    points = [
        face.landmarks[[33, 263, 1, 168]] - face.landmarks[[33, 263, 1, 168]].mean(0) for face in (one, other)
    ]
    return float(np.abs(points[0] - points[1]).mean())


def _draw_known(wheel: Wheel, name: str) -> Picture:
    path = CACHE / f"{name}.png"
    if not path.exists():
        write_png(path, draw_portrait(wheel, PEOPLE[name], (_KNOWN_SIDE, _KNOWN_SIDE)))
    return read_picture(path)


def _draw_mouth(wheel: Wheel, name: str) -> DrawnHead:
    """A drawn open mouth; kept, since it takes seconds."""
    path = CACHE / f"{name}.npz"
    if not path.exists():
        head = draw_head(wheel, MOUTHS[name].person, MOUTHS[name].size)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"rgb": head.rgb, "shut": head.shut, "background": head.background, **head.masks}
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    with np.load(path) as kept:
        arrays = dict(kept)
    pictures = {key: arrays.pop(key) for key in ("rgb", "shut", "background")}
    return DrawnHead(**pictures, masks=arrays)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseResult:
    """What was found of one portrait: a row of the table, its mouths at every viseme, and what the check said."""

    case: MouthCase
    said: MouthState
    said_of_shut: MouthState | None
    row: str
    verdict: str
    plainer: bool
    error: float
    mouths: Picture


def measure_case(case: MouthCase) -> CaseResult:
    """Check, prepare, draw and measure one portrait."""
    portrait = crop_portrait(find_portrait(case.rgb), None)
    started = time.process_time()
    actor = MeshEngine().open(portrait, None)
    seconds = time.process_time() - started
    said_ways = {finding.sentence for finding in actor.findings}
    said = measure_mouth_profile(portrait.rgb, portrait.landmarks).state
    report = measure_drawn_mouth(portrait, lambda mouth: draw_viseme(actor, mouth))
    verdict = find_worst_level(judge_drawn_mouth(report))
    frames = {name: draw_viseme(actor, mouth) for name, mouth in CHECKED_VISEMES.items()}
    truth = find_portrait(case.shut) if case.shut is not None else None
    error = _measure_error(portrait, frames["PP"], truth) if truth else float("nan")
    cells = (
        case.name,
        said,
        f"{report.gap:.3f}",
        f"{max(report.teeth_on_lips, 0):.3f}",
        f"{report.upper_red:.2f}",
        f"{report.lower_red:.2f}",
        f"{max(report.asymmetry, 0):.3f}",
        f"{max(report.stray_red, 0):.2f}",
        f"{max(report.pointedness, 0):.2f}",
        next((str(number) for number, way in enumerate(MOUTH_WAYS[1:], 1) if way.sentence in said_ways), ""),
        verdict,
        "" if truth is None else f"{error:.2f}",
        f"{seconds:.2f}",
    )
    return CaseResult(
        case=case,
        said=said,
        said_of_shut=measure_mouth_profile(truth.rgb, truth.landmarks).state if truth else None,
        row=f"| {' | '.join(cells)} |",
        verdict=verdict,
        plainer=any(finding.name == "plainer mouth" for finding in actor.findings),
        error=error,
        mouths=_draw_row(portrait, truth, list(frames.values())),
    )


def draw_viseme(actor: MeshActor, mouth: MouthArticulation) -> Picture:
    """A frame with the head at rest."""
    return actor.renderer.render(build_expression(mouth, RESTING_POSE))


def _measure_error(portrait: Portrait, drawn: Picture, truth: Portrait) -> float:
    """Distance of the drawn shut mouth from the true one, over that of the portrait's own mouth: 0 is the truth, 1 as
    far as before."""
    true = LevelMouth.from_picture(truth.rgb, truth.landmarks)
    moved, own = (_align_mouth(rgb, portrait, truth) for rgb in (drawn, portrait.rgb))
    before, after = (float(np.square(mouth - true.rgb).mean()) for mouth in (own, moved))
    return float(np.sqrt(after / max(before, 1e-9)))


def _align_mouth(rgb: Picture, portrait: Portrait, truth: Portrait) -> NDArray[np.float32]:
    """The mouth in `rgb` where the true mouth is in its level picture: aligned by eyes and nose."""
    rigid = [33, 263, 133, 362, 1, 168, 2]
    matrix, _ = cv2.estimateAffinePartial2D(portrait.landmarks[rigid, :2], truth.landmarks[rigid, :2])
    size = (truth.rgb.shape[1], truth.rgb.shape[0])
    moved = np.asarray(cv2.warpAffine(rgb, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    return LevelMouth.from_picture(moved, truth.landmarks).rgb


def _draw_row(portrait: Portrait, truth: Portrait | None, frames: Sequence[Picture]) -> Picture:
    """The portrait's mouth, the true shut one, and every viseme."""
    own = LevelMouth.from_picture(portrait.rgb, portrait.landmarks)
    true = LevelMouth.from_picture(truth.rgb, truth.landmarks).rgb if truth else np.zeros_like(own.rgb)
    mouths = [own.rgb, true, *(LevelMouth.from_picture(rgb, portrait.landmarks).rgb for rgb in frames)]
    return np.asarray(np.hstack(mouths).clip(0, 255), np.uint8)


def write_mouth_sheets(results: Sequence[CaseResult]) -> list[Path]:
    """Sheets of ten portraits each: mouth, true shut mouth, then the visemes of CHECKED_VISEMES."""
    paths = []
    for start in range(0, len(results), _SHEET_ROWS):
        rows = []
        for result in results[start : start + _SHEET_ROWS]:
            row = np.ascontiguousarray(result.mouths)
            colour = {"ok": (255, 255, 255), "warn": (255, 220, 0), "bad": (255, 60, 60)}[result.verdict]
            cv2.putText(row, result.case.name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
            rows.append(row)
        paths.append(SHEETS / f"mouths-{start // _SHEET_ROWS + 1}.png")
        write_png(paths[-1], np.vstack(rows))
    return paths


def write_png(path: Path, rgb: Picture) -> None:
    """Write a picture, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", rgb[..., ::-1])[1].tobytes())


def format_results(results: Sequence[CaseResult]) -> str:
    """The tables: how each portrait is drawn, and what the check says against what is known."""
    head = ["portrait", "check says", "gap", "teeth on lips", "upper red", "lower red", "asymmetry", "stray red",
            "pointed", "plainer way", "self-check",
            "error left", "prepared, s"]  # fmt: skip
    lines = [
        f"| {' | '.join(head)} |",
        f"| {' | '.join(['---'] * len(head))} |",
        *(result.row for result in results),
    ]
    counts = Counter(result.verdict for result in results)
    errors = [result.error for result in results if not np.isnan(result.error)]
    plainer = sum(result.plainer for result in results)
    summary = (
        f"Self-check: {counts['ok']} ok, {counts['warn']} warn, {counts['bad']} bad of {len(results)}, "
        f"{plainer} of them drawn in a plainer way. "
        f"Error left of a shut mouth: median {np.median(errors):.2f}, worst {max(errors):.2f}."
    )
    return "\n".join([*lines, "", summary, "", *_format_confusion(results)])


def _format_confusion(results: Sequence[CaseResult]) -> Iterator[str]:
    """What the check says of mouths whose state is known, and of their shut counterparts."""
    pairs = Counter((result.case.shows, result.said) for result in results if result.case.shows)
    pairs += Counter(
        ("shut", result.said_of_shut) for result in results if result.said_of_shut and result.case.shows
    )
    opened = [result for result in results if result.case.shows is None and result.case.shut is not None]
    states: tuple[MouthState, ...] = ("shut", "parted", "teeth")
    yield "| known | said: shut | parted | teeth |"
    yield "| --- | --- | --- | --- |"
    for known in states:
        yield f"| {known} | {' | '.join(str(pairs[known, said]) for said in states)} |"
    counted = Counter(result.said for result in opened)
    yield f"| open, filmed | {' | '.join(str(counted[said]) for said in states)} |"
    counted = Counter(result.said_of_shut for result in opened if result.said_of_shut)
    yield f"| shut, filmed | {' | '.join(str(counted[said]) for said in states)} |"

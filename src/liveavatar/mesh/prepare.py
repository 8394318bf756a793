"""From a portrait to a stage: every measurement, spline and painting that is needed once."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks, Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.anatomy import CHIN, EYE_CORNERS, EYES, FACE_OVAL, LOWER_LIP, UPPER_LIP, interocular
from liveavatar.mesh.compose import Box, Stage, pixels
from liveavatar.mesh.eyes import EyeWarp
from liveavatar.mesh.field import Array, FieldBasis, Grid
from liveavatar.mesh.head import head_basis
from liveavatar.mesh.lips import Lips
from liveavatar.mesh.mouth import Interior, OwnTeeth, Tint, find_own_teeth, paint_teeth, paint_tongue

_CHEEKS = (50, 280, 205, 425, 101, 330)
_LIP_SKIN = (0, 17, 37, 267, 84, 314)
_REACH = 0.13
"""How far the head's motion may carry a point, interocular units: the margin around what moves."""


def prepare(portrait: Portrait, shapes: Array) -> Stage:
    """Build the stage. `shapes` [k, 478, 2] displaces the portrait's landmarks, in pixels."""
    landmarks, rgb = portrait.landmarks, portrait.rgb
    unit = interocular(landmarks)
    height, width = rgb.shape[:2]
    lips = Lips.of(landmarks, unit, cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8))
    grid = _face_grid(landmarks, unit)
    upper, lower = _face_bases(grid, landmarks, shapes, lips, unit)
    eyes = (EyeWarp.of(EYES[0], landmarks), EyeWarp.of(EYES[1], landmarks))
    person, background = separate(rgb, portrait.matte, round(0.15 * unit) + 2)
    size = (width, height)
    return Stage(
        person=person,
        matte=portrait.matte,
        background=background,
        moving=(0, 0, width, height),
        face_box=_clip(_grid_box(grid), size),
        mouth_box=_clip(_mouth_box(lips, unit), size),
        eye_boxes=(_clip(_grow(eyes[0].box, _REACH * unit), size), _clip(_grow(eyes[1].box, _REACH * unit), size)),
        head=head_basis(landmarks, size),
        upper=upper,
        lower=lower,
        lips=lips,
        interior=_interior(rgb, landmarks, lips, unit),
        eyes=eyes,
        unit=unit,
    )


def _face_grid(landmarks: Landmarks, unit: float) -> Grid:
    oval = landmarks[list(FACE_OVAL), :2]
    low, high = oval.min(0) - 0.55 * unit, oval.max(0) + 0.65 * unit
    step = max(1.5, unit / 28)
    columns, rows = (int(np.ceil(extent / step)) + 1 for extent in high - low)
    return Grid(origin=(float(low[0]), float(low[1])), step=step, columns=columns, rows=rows)


def _face_bases(
    grid: Grid, landmarks: Landmarks, shapes: Array, lips: Lips, unit: float
) -> tuple[FieldBasis, FieldBasis]:
    """The same shapes spread twice: as the upper lip carries them, and as the lower lip does."""
    points = landmarks[:468, :2]
    local = lips.frame.local(points)
    below = (local[:, 1] > 0.03 * unit) & (np.abs(local[:, 0]) < 0.9 * lips.half_width)
    index = np.arange(468)
    for_upper = ~(below | np.isin(index, LOWER_LIP)) | np.isin(index, UPPER_LIP)
    for_lower = ~np.isin(index, UPPER_LIP)
    pinned = _pins(grid, landmarks)
    upper, lower = (
        FieldBasis.from_shapes(grid, points[keep], shapes[:, :468][:, keep], pinned)
        for keep in (for_upper, for_lower)
    )
    return upper, lower


def _pins(grid: Grid, landmarks: Landmarks) -> Array:
    """Points that never move: the rim of the grid, and a ring around the upper half of the face."""
    nodes = grid.nodes()
    rim = np.vstack([nodes[0, ::4], nodes[-1, ::4], nodes[::4, 0], nodes[::4, -1]])
    oval = landmarks[list(FACE_OVAL), :2]
    eye_line = landmarks[list(EYE_CORNERS), :2].mean(0)
    up = eye_line - landmarks[CHIN, :2]
    above = oval[(oval - eye_line) @ up > -0.1 * float(up @ up)]
    return np.vstack([rim, eye_line + (above - eye_line) * 1.3]).astype(np.float32)


def _interior(rgb: Picture, landmarks: Landmarks, lips: Lips, unit: float) -> Interior:
    skin = _colour(rgb, landmarks, _CHEEKS)
    lip = _colour(rgb, landmarks, _LIP_SKIN)
    light = float(skin @ np.float32([0.2126, 0.7152, 0.0722]))
    own = _own_teeth(rgb, lips, unit, light)
    white = np.float32([1.0, 0.95, 0.86]) * np.float32(min(1.12 * light, 228.0))
    teeth = white if own is None else _mean_colour(own)
    tint = Tint(
        teeth=teeth,
        tongue=np.asarray(0.65 * lip + 0.35 * light * np.float32([1.0, 0.5, 0.5]), np.float32),
        cavity=np.asarray(lip * np.float32([0.2, 0.12, 0.12]), np.float32),
    )
    rest = float(lips.frame.local(landmarks[13, :2])[1]) / unit
    floor = float(lips.frame.local(landmarks[14, :2])[1]) / unit
    return Interior(
        tint=tint,
        upper=paint_teeth(tint.teeth, unit, upper=True),
        lower=paint_teeth(tint.teeth * np.float32(0.85), unit, upper=False),
        tongue=paint_tongue(tint.tongue, unit),
        own=own,
        upper_edge=rest + 0.02,
        lower_edge=floor - 0.015,
    )


def _own_teeth(rgb: Picture, lips: Lips, unit: float, light: float) -> OwnTeeth | None:
    height, width = rgb.shape[:2]
    box = _clip(_mouth_box(lips, unit), (width, height))
    inside = lips.inside(pixels(box))
    return find_own_teeth(rgb[box[1] : box[3], box[0] : box[2]], inside, light, (box[0], box[1]))


def _mean_colour(own: OwnTeeth) -> Array:
    return np.asarray(own.rgba[..., :3].sum((0, 1)) / own.rgba[..., 3].sum(), np.float32)


def _colour(rgb: Picture, landmarks: Landmarks, points: tuple[int, ...]) -> Array:
    height, width = rgb.shape[:2]
    at = np.clip(np.rint(landmarks[list(points), :2]).astype(int), 0, [width - 1, height - 1])
    return np.median(rgb[at[:, 1], at[:, 0]].astype(np.float32), axis=0)


def separate(rgb: Picture, matte: NDArray[np.uint8], reach: int) -> tuple[Picture, Picture]:
    """Person and background, each continued `reach` pixels beyond its own edge.

    Colours near the edge are unmixed by blurring each side with its own weight (Forte 2021, "Approximate Fast
    Foreground Colour Estimation"); behind the person the background is the same blur, grown step by step.
    """
    share = matte.astype(np.float32) / 255
    person = _grow_colour(rgb, share, reach)
    background = _grow_colour(rgb, 1 - share, reach)
    return person, background


def _grow_colour(rgb: Picture, share: Array, reach: int) -> Picture:
    colour = rgb.astype(np.float32)
    sure = (share > 0.95).astype(np.float32)
    result, known = colour * sure[..., None], sure
    sigma = 1.0
    while sigma < reach:
        sigma *= 2
        weight = np.asarray(cv2.GaussianBlur(sure, (0, 0), sigma))
        spread = np.asarray(cv2.GaussianBlur(colour * sure[..., None], (0, 0), sigma)) / np.maximum(weight, 1e-6)[..., None]
        fill = (1 - known) * np.clip(weight / 0.02, 0, 1)
        result, known = result + spread * fill[..., None], known + fill
    result = result + colour * (1 - known)[..., None]
    return np.rint(np.clip(result, 0, 255)).astype(np.uint8)


def _grid_box(grid: Grid) -> tuple[float, float, float, float]:
    x, y = grid.origin
    return x, y, x + grid.step * (grid.columns - 1), y + grid.step * (grid.rows - 1)


def _mouth_box(lips: Lips, unit: float) -> tuple[float, float, float, float]:
    half, up, down = 1.45 * lips.half_width, 0.3 * unit, 0.6 * unit
    corners = np.float32([[-half, -up], [half, -up], [half, down], [-half, down]])
    return _grow(lips.frame.origin + lips.frame.vectors(corners), _REACH * unit)


def _grow(corners: Array, margin: float) -> tuple[float, float, float, float]:
    low, high = corners.min(0) - margin, corners.max(0) + margin
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _clip(box: tuple[float, float, float, float], size: tuple[int, int]) -> Box:
    x0, y0 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    return x0, y0, min(size[0], int(np.ceil(box[2])) + 1), min(size[1], int(np.ceil(box[3])) + 1)

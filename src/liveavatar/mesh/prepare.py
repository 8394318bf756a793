"""From a portrait to a stage: every measurement, spline and painting that is needed once."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks, Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.anatomy import (
    CHIN,
    EYE_CORNERS,
    EYES,
    FACE_OVAL,
    INNER_LOWER,
    INNER_UPPER,
    LOWER_LIP,
    UPPER_LIP,
    interocular,
)
from liveavatar.mesh.compose import Stage, pixels
from liveavatar.mesh.eyes import EyeWarp
from liveavatar.mesh.field import Array, Box, FieldBasis, Grid, floats, spline
from liveavatar.mesh.head import head_basis
from liveavatar.mesh.infill import spread
from liveavatar.mesh.lips import Lips
from liveavatar.mesh.mouth import EXTENT, LAYERS, Interior, Light, OwnTeeth, Texture, find_own_teeth
from liveavatar.mesh.rig import fit_pose, load_rig, upper_share

_CHEEKS = (50, 280, 205, 425, 101, 330)
_SIDES = ((50, 205, 207, 187), (280, 425, 427, 411))
_LUMA = floats([0.2126, 0.7152, 0.0722])
_REACH = 0.13
"""How far the head's motion may carry a point, interocular units: the margin around what moves."""

_PALEST = 0.1
"""Saturation of the palest skin in colour photographs."""

_UNSURE = 0.12
"""Shares of person below this are background, above one minus this are person."""

_STILL = 0.5
"""Pixels a point must move under a whole radian, interocular unit or breath, to count as moving."""

_CROWN = 0.15
"""Upper teeth reach no further down from the upper lip, interocular units; what does is lower teeth or tongue."""

_REAL = 2.0
"""Least trust in a face whose eyes may blink: on stranger ones (a cyclops) the lids are not where landmarks say."""


def prepare(portrait: Portrait, lips: Lips, shapes: Array) -> Stage:
    """Build the stage. `shapes` [k, 478, 2] displaces the portrait's landmarks, in pixels."""
    rgb, landmarks = portrait.rgb, portrait.landmarks
    unit = interocular(landmarks)
    height, width = rgb.shape[:2]
    grid = _face_grid(landmarks, unit)
    upper, lower = _face_bases(grid, landmarks, shapes, lips)
    eyes = tuple(EyeWarp.of(eye, landmarks) for eye in EYES) if portrait.trust >= _REAL else ()
    person, background, matte = separate(rgb, portrait.matte)
    size = (width, height)
    head, face_box = head_basis(landmarks, size), _clip(grid.box, size)
    moving = _union(_moving(head, matte), face_box)
    return Stage(
        person=person,
        matte=matte,
        still=_outside(rgb, background, moving),
        moving=moving,
        face_box=face_box,
        mouth_box=_clip(_mouth_box(lips, unit), size),
        eye_boxes=tuple(_clip(_grow(eye.box, _REACH * unit), size) for eye in eyes),
        head=head,
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
    step = max(2, round(unit / 28))
    columns, rows = (int(np.ceil(extent / step)) for extent in high - low)
    return Grid(origin=(int(low[0]), int(low[1])), step=step, columns=columns, rows=rows)


def _face_bases(grid: Grid, landmarks: Landmarks, shapes: Array, lips: Lips) -> tuple[FieldBasis, FieldBasis]:
    """The same shapes spread twice: as the upper lip carries them, and as the lower lip does.

    What smoothing would take from the shape that shuts the mouth, the last one, is given back to its lips beforehand.
    """
    points = landmarks[:468, :2]
    local = lips.frame.local(points)
    column = np.abs(local[:, 0]) < 0.9 * lips.half_width
    index = np.arange(len(points))
    upper_lip, lower_lip = np.isin(index, UPPER_LIP), np.isin(index, LOWER_LIP)
    # Each side goes on beyond the lips as its own lip moves: it need not turn back towards what it never shows.
    for_upper = upper_lip | ~(lower_lip | (column & (local[:, 1] > 0)))
    for_lower = lower_lip | ~(upper_lip | (column & (local[:, 1] < 0)))
    pinned = _pins(grid, landmarks)
    # The wider the mouth that has to be shut, the steeper the field at its corners, and the sooner it would fold.
    smoothing = 0.003 + 0.1 * lips.gap / interocular(landmarks)
    bases = []
    for keep, row, lip in ((for_upper, INNER_UPPER, UPPER_LIP), (for_lower, INNER_LOWER, LOWER_LIP)):
        moves = shapes[:, :468].copy()
        for _ in range(2 if lips.gap else 0):
            given = np.vstack([points[keep], pinned]), np.vstack([moves[-1, keep], 0 * pinned])
            short = shapes[-1, list(row)] - spline(*given, points[list(row)], smoothing)
            moves[-1, list(lip)] += _across(local[list(row), 0], short, local[list(lip), 0])
        bases.append(FieldBasis.from_shapes(grid, points[keep], moves[:, keep], pinned, smoothing))
    return bases[0], bases[1]


def _across(u: Array, values: Array, at: Array) -> Array:
    """`values` [n, 2], given along a lip at `u`, at other places along it."""
    return floats(np.stack([np.interp(at, u, axis) for axis in values.T], -1))


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
    skin = float(_colour(rgb, landmarks, _CHEEKS) @ _LUMA)
    own = _own_teeth(rgb, lips, unit, skin)
    slope = _slope(rgb, landmarks)
    chroma = _chroma(rgb, landmarks)
    light = Light.of_teeth(own.colour, slope, chroma) if own else _light(rgb, landmarks, slope, chroma)
    upper_lip, lower_lip = (float(lips.frame.local(landmarks[point, :2])[1]) / unit for point in (13, 14))
    gap = max(lower_lip - upper_lip, 0.0)
    seam = upper_lip + upper_share(gap) * gap
    turned = _turned(landmarks, lips, unit)
    upper, lower, tongue = (Texture.of(name, light, turned, unit) for name in LAYERS)
    return Interior(
        light=light,
        upper=upper,
        lower=lower,
        tongue=tongue,
        own=own,
        upper_edge=seam + 0.025,
        lower_edge=seam + 0.042,
    )


def _chroma(rgb: Picture, landmarks: Landmarks) -> float:
    """0 in a picture without colours, whose mouth has none either; 1 from the palest skin on."""
    skin = _colour(rgb, landmarks, _CHEEKS)
    return float(np.clip(np.ptp(skin) / max(float(skin.max()), 1.0) / _PALEST, 0, 1))


def _light(rgb: Picture, landmarks: Landmarks, slope: float, chroma: float) -> Light:
    """White as the whites of the eyes say, held within what the skin allows; its tint is a little of the skin's."""
    skin = _colour(rgb, landmarks, _CHEEKS)
    luma = float(skin @ _LUMA)
    mask = np.zeros(rgb.shape[:2], np.uint8)
    for eye in EYES:
        outline = landmarks[[*eye.upper, *eye.lower[::-1]], :2]
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    inside = rgb[mask > 0] @ _LUMA
    eyes = float(np.percentile(inside, 85)) if len(inside) else 0.0
    level = min(float(np.clip(1.3 * eyes, 1.25 * luma, 2.4 * luma)), 240.0)
    return Light(white=floats((skin / luma) ** 0.3 * level), slope=slope, chroma=chroma)


def _slope(rgb: Picture, landmarks: Landmarks) -> float:
    """How much brighter the light grows in a unit to the right; in the mouth it is softer than on the cheeks."""
    left, right = (float(_colour(rgb, landmarks, side) @ _LUMA) for side in _SIDES)
    return float(np.clip(np.log((right + 8) / (left + 8)), -0.8, 0.8))


def _turned(landmarks: Landmarks, lips: Lips, unit: float) -> Array:
    """Where the columns of the mouth's layers are seen: pairs (u seen, u), by the turn of the head and the depth of
    the rig's row of teeth."""
    pose, teeth = fit_pose(landmarks), load_rig().mouth.upper_teeth
    u = np.linspace(-EXTENT[0], EXTENT[0], 161)
    places = np.stack([u, 0 * u, np.interp(u, teeth[:, 0], teeth[:, 2])], -1)
    seen = lips.frame.local(landmarks[13, :2] + pose.to_picture(floats(places)))[:, 0] / unit
    first, last = int(seen[:80].argmin()), 80 + int(seen[80:].argmax())
    return floats(np.stack([seen, u], -1)[first : last + 1])


def _own_teeth(rgb: Picture, lips: Lips, unit: float, light: float) -> OwnTeeth | None:
    height, width = rgb.shape[:2]
    box = _clip(_mouth_box(lips, unit), (width, height))
    inside = lips.inside(pixels(box), _CROWN * unit)
    return find_own_teeth(rgb[box[1] : box[3], box[0] : box[2]], inside, light, (box[0], box[1]))


def _colour(rgb: Picture, landmarks: Landmarks, points: tuple[int, ...]) -> Array:
    height, width = rgb.shape[:2]
    at = np.clip(np.rint(landmarks[list(points), :2]).astype(int), 0, [width - 1, height - 1])
    return floats(np.median(rgb[at[:, 1], at[:, 0]], axis=0))


def _moving(head: FieldBasis, matte: NDArray[np.uint8]) -> Box:
    """The smallest box around every pixel of the person that the head's motion can reach."""
    grid = head.grid
    reach = np.abs(head.fields).reshape(-1, grid.rows, grid.columns, 2).max((0, 3)) > _STILL
    wide = cv2.dilate(np.asarray(reach, np.uint8), np.ones((5, 5), np.uint8))
    height, width = matte.shape
    person = cv2.resize(wide, (width, height), interpolation=cv2.INTER_NEAREST) * (matte > 0)
    x, y, across, down = cv2.boundingRect(np.asarray(person, np.uint8))
    margin = 2 * grid.step
    return _clip((x - margin, y - margin, x + across + margin, y + down + margin), (width, height))


def _outside(rgb: Picture, background: Picture, box: Box) -> Picture:
    """The background inside `box`, the picture around it."""
    still, window = rgb.copy(), (slice(box[1], box[3]), slice(box[0], box[2]))
    still[window] = background[window]
    return still


def _union(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def separate(rgb: Picture, matte: NDArray[np.uint8]) -> tuple[Picture, Picture, NDArray[np.uint8]]:
    """Person, background and the share of person: laid over each other they are the picture again, to a grey level.

    Where both show in a pixel its colour is unmixed, so that neither leaves an edge behind when the person moves;
    where one hides the other, the hidden one is continued smoothly.
    """
    solid = np.rint(255 * np.clip((matte / 255 - _UNSURE) / (1 - 2 * _UNSURE), 0, 1)).astype(np.uint8)
    scene = floats(spread(rgb, floats(solid == 0)))
    solid = np.where(solid > 0, np.maximum(solid, _least_share(rgb, scene)), 0).astype(np.uint8)
    share = floats(solid[..., None] / 255)
    figure = floats(spread(rgb, floats(solid == 255)))
    trust = np.clip(share / 0.4, 0, 1)
    person = trust * _unmix(rgb, share, scene) + (1 - trust) * figure
    # A matte that is wide of the person makes what it takes for mixed darker or lighter than anything around it.
    seen = np.clip(_unmix(rgb, 1 - share, person), np.minimum(rgb, scene), np.maximum(rgb, scene))
    background = np.where(share < 1, seen, scene)
    person = np.where(share > 0, _unmix(rgb, share, background), figure)
    return np.rint(person).astype(np.uint8), np.rint(background).astype(np.uint8), solid


def _least_share(mixed: Picture, other: Array) -> Array:
    """The least opacity, 0…255, of anything over `other` that could make `mixed`; with less, no colour would do."""
    left = np.minimum(mixed / np.maximum(other, 1), (255 - mixed) / np.maximum(255 - other, 1)).min(2)
    return floats(np.rint(255 * np.clip(1 - left, 0, 1)))


def _unmix(mixed: Picture, share: Array, other: Array) -> Array:
    """The colour that makes `mixed` when laid over `other` with opacity `share`, as far as there is one."""
    return floats(np.clip((mixed - (1 - share) * other) / np.maximum(share, 1 / 255), 0, 255))


def _mouth_box(lips: Lips, unit: float) -> tuple[float, float, float, float]:
    half, up, down = 1.45 * lips.half_width, 0.3 * unit, 0.6 * unit
    corners = floats([[-half, -up], [half, -up], [half, down], [-half, down]])
    return _grow(lips.frame.origin + lips.frame.vectors(corners), _REACH * unit)


def _grow(corners: Array, margin: float) -> tuple[float, float, float, float]:
    low, high = corners.min(0) - margin, corners.max(0) + margin
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _clip(box: tuple[float, float, float, float], size: tuple[int, int]) -> Box:
    x0, y0 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    return x0, y0, min(size[0], int(np.ceil(box[2]))), min(size[1], int(np.ceil(box[3])))

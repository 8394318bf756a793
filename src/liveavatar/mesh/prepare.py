"""From a portrait to a stage: every measurement, spline and painting that is needed once."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks, Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.face_landmarks import (
    CHIN_LANDMARK,
    EYE_LANDMARKS,
    FACE_OVAL,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    LOWER_LIP,
    OUTER_EYE_CORNERS,
    UPPER_LIP,
    interocular_distance,
)
from liveavatar.mesh.geometry.head_basis import build_head_basis
from liveavatar.mesh.geometry.lip_edges import LipEdges
from liveavatar.mesh.geometry.rig import fit_rig_pose, load_rig, upper_lip_share
from liveavatar.mesh.geometry.warp_field import (
    Array,
    FieldBasis,
    PixelBox,
    WarpGrid,
    as_float32,
    thin_plate_spline,
)
from liveavatar.mesh.render.eye_layers import EyeContours
from liveavatar.mesh.render.face_renderer import FaceRenderer, pixel_positions
from liveavatar.mesh.render.infill import infill_colours
from liveavatar.mesh.render.mouth_interior import (
    LAYER_HALF_SIZE,
    LAYER_NAMES,
    MouthInterior,
    MouthLight,
    MouthTexture,
    PortraitTeeth,
    extract_portrait_teeth,
)

_CHEEK_LANDMARKS = (50, 280, 205, 425, 101, 330)
_CHEEK_SIDES = ((50, 205, 207, 187), (280, 425, 427, 411))
_LUMA_WEIGHTS = as_float32([0.2126, 0.7152, 0.0722])
_HEAD_REACH = 0.13
"""How far the head's motion may carry a point, interocular units: the margin around what moves."""

_MIN_SKIN_SATURATION = 0.1
"""Saturation of the palest skin in colour photographs."""

_MATTE_MARGIN = 0.12
"""Shares of person below this are background, above one minus this are person."""

_MIN_MOTION_PIXELS = 0.5
"""Pixels a point must move under a whole radian, interocular unit or breath, to count as moving."""

_MAX_TEETH_DROP = 0.15
"""Upper teeth reach no further down from the upper lip, interocular units; what does is lower teeth or tongue."""

_MIN_BLINK_TRUST = 2.0
"""Least trust in a face whose eyes may blink: on stranger ones (a cyclops) the lids are not where landmarks say."""


def prepare_renderer(portrait: Portrait, lips: LipEdges, shapes: Array) -> FaceRenderer:
    """Build the stage. `shapes` [k, 478, 2] displaces the portrait's landmarks, in pixels."""
    rgb, landmarks = portrait.rgb, portrait.landmarks
    unit = interocular_distance(landmarks)
    height, width = rgb.shape[:2]
    grid = _build_face_grid(landmarks, unit)
    upper, lower = _build_face_bases(grid, landmarks, shapes, lips)
    eyes = (
        tuple(EyeContours.from_landmarks(eye, landmarks) for eye in EYE_LANDMARKS)
        if portrait.trust >= _MIN_BLINK_TRUST
        else ()
    )
    person, background, matte = separate_person(rgb, portrait.matte)
    size = (width, height)
    head, face_box = build_head_basis(landmarks, size), _clip_box(grid.box, size)
    moving = _union_boxes(_find_moving_box(head, matte), face_box)
    return FaceRenderer(
        person=person,
        matte=matte,
        static_picture=_build_static_picture(rgb, background, moving),
        moving_box=moving,
        face_box=face_box,
        mouth_box=_clip_box(_mouth_bounds(lips, unit), size),
        eye_boxes=tuple(
            _clip_box(_expand_bounds(eye.moving_corners, _HEAD_REACH * unit), size) for eye in eyes
        ),
        head_basis=head,
        upper_basis=upper,
        lower_basis=lower,
        lips=lips,
        interior=_build_interior(rgb, landmarks, lips, unit),
        eyes=eyes,
        unit=unit,
    )


def _build_face_grid(landmarks: Landmarks, unit: float) -> WarpGrid:
    oval = landmarks[list(FACE_OVAL), :2]
    low, high = oval.min(0) - 0.55 * unit, oval.max(0) + 0.65 * unit
    step = max(2, round(unit / 28))
    columns, rows = (int(np.ceil(extent / step)) for extent in high - low)
    return WarpGrid(origin=(int(low[0]), int(low[1])), step=step, columns=columns, rows=rows)


def _build_face_bases(
    grid: WarpGrid, landmarks: Landmarks, shapes: Array, lips: LipEdges
) -> tuple[FieldBasis, FieldBasis]:
    """The same shapes spread twice: as the upper lip carries them, and as the lower lip does.

    What smoothing would take from the shape that shuts the mouth, the last one, is given back to its lips beforehand.
    """
    points = landmarks[:468, :2]
    local = lips.frame.to_local(points)
    column = np.abs(local[:, 0]) < 0.9 * lips.half_width
    index = np.arange(len(points))
    upper_lip, lower_lip = np.isin(index, UPPER_LIP), np.isin(index, LOWER_LIP)
    # Each side goes on beyond the lips as its own lip moves: it need not turn back towards what it never shows.
    for_upper = upper_lip | ~(lower_lip | (column & (local[:, 1] > 0)))
    for_lower = lower_lip | ~(upper_lip | (column & (local[:, 1] < 0)))
    pinned = _pinned_points(grid, landmarks)
    # The wider the mouth that has to be shut, the steeper the field at its corners, and the sooner it would fold.
    smoothing = 0.003 + 0.1 * lips.gap / interocular_distance(landmarks)
    bases = []
    for keep, row, lip in ((for_upper, INNER_UPPER_LIP, UPPER_LIP), (for_lower, INNER_LOWER_LIP, LOWER_LIP)):
        moves = shapes[:, :468].copy()
        for _ in range(2 if lips.gap else 0):
            given = np.vstack([points[keep], pinned]), np.vstack([moves[-1, keep], 0 * pinned])
            short = shapes[-1, list(row)] - thin_plate_spline(*given, points[list(row)], smoothing)
            moves[-1, list(lip)] += _interpolate_along_lip(local[list(row), 0], short, local[list(lip), 0])
        bases.append(FieldBasis.from_shapes(grid, points[keep], moves[:, keep], pinned, smoothing))
    return bases[0], bases[1]


def _interpolate_along_lip(u: Array, values: Array, at: Array) -> Array:
    """`values` [n, 2], given along a lip at `u`, at other places along it."""
    return as_float32(np.stack([np.interp(at, u, axis) for axis in values.T], -1))


def _pinned_points(grid: WarpGrid, landmarks: Landmarks) -> Array:
    """Points that never move: the rim of the grid, and a ring around the upper half of the face."""
    nodes = grid.node_positions()
    rim = np.vstack([nodes[0, ::4], nodes[-1, ::4], nodes[::4, 0], nodes[::4, -1]])
    oval = landmarks[list(FACE_OVAL), :2]
    eye_line = landmarks[list(OUTER_EYE_CORNERS), :2].mean(0)
    up = eye_line - landmarks[CHIN_LANDMARK, :2]
    above = oval[(oval - eye_line) @ up > -0.1 * float(up @ up)]
    return np.vstack([rim, eye_line + (above - eye_line) * 1.3]).astype(np.float32)


def _build_interior(rgb: Picture, landmarks: Landmarks, lips: LipEdges, unit: float) -> MouthInterior:
    skin = float(_median_colour(rgb, landmarks, _CHEEK_LANDMARKS) @ _LUMA_WEIGHTS)
    own = _extract_teeth(rgb, lips, unit, skin)
    slope = _estimate_light_slope(rgb, landmarks)
    chroma = _estimate_chroma(rgb, landmarks)
    light = (
        MouthLight.from_teeth(own.mean_colour, slope, chroma)
        if own
        else _estimate_light(rgb, landmarks, slope, chroma)
    )
    upper_lip, lower_lip = (float(lips.frame.to_local(landmarks[point, :2])[1]) / unit for point in (13, 14))
    gap = max(lower_lip - upper_lip, 0.0)
    seam = upper_lip + upper_lip_share(gap) * gap
    turned = _map_layer_columns(landmarks, lips, unit)
    upper, lower, tongue = (MouthTexture.from_asset(name, light, turned, unit) for name in LAYER_NAMES)
    return MouthInterior(
        light=light,
        upper=upper,
        lower=lower,
        tongue=tongue,
        portrait_teeth=own,
        upper_edge=seam + 0.025,
        lower_edge=seam + 0.042,
    )


def _estimate_chroma(rgb: Picture, landmarks: Landmarks) -> float:
    """0 in a picture without colours, whose mouth has none either; 1 from the palest skin on."""
    skin = _median_colour(rgb, landmarks, _CHEEK_LANDMARKS)
    return float(np.clip(np.ptp(skin) / max(float(skin.max()), 1.0) / _MIN_SKIN_SATURATION, 0, 1))


def _estimate_light(rgb: Picture, landmarks: Landmarks, slope: float, chroma: float) -> MouthLight:
    """White as the whites of the eyes say, held within what the skin allows; its tint is a little of the skin's."""
    skin = _median_colour(rgb, landmarks, _CHEEK_LANDMARKS)
    luma = float(skin @ _LUMA_WEIGHTS)
    mask = np.zeros(rgb.shape[:2], np.uint8)
    for eye in EYE_LANDMARKS:
        outline = landmarks[[*eye.upper, *eye.lower[::-1]], :2]
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    inside = rgb[mask > 0] @ _LUMA_WEIGHTS
    eyes = float(np.percentile(inside, 85)) if len(inside) else 0.0
    level = min(float(np.clip(1.3 * eyes, 1.25 * luma, 2.4 * luma)), 240.0)
    return MouthLight(white=as_float32((skin / luma) ** 0.3 * level), slope=slope, chroma=chroma)


def _estimate_light_slope(rgb: Picture, landmarks: Landmarks) -> float:
    """How much brighter the light grows in a unit to the right; in the mouth it is softer than on the cheeks."""
    left, right = (float(_median_colour(rgb, landmarks, side) @ _LUMA_WEIGHTS) for side in _CHEEK_SIDES)
    return float(np.clip(np.log((right + 8) / (left + 8)), -0.8, 0.8))


def _map_layer_columns(landmarks: Landmarks, lips: LipEdges, unit: float) -> Array:
    """Where the columns of the mouth's layers are seen: pairs (u seen, u), by the turn of the head and the depth of
    the rig's row of teeth."""
    pose, teeth = fit_rig_pose(landmarks), load_rig().mouth.upper_teeth
    u = np.linspace(-LAYER_HALF_SIZE[0], LAYER_HALF_SIZE[0], 161)
    places = np.stack([u, 0 * u, np.interp(u, teeth[:, 0], teeth[:, 2])], -1)
    seen = lips.frame.to_local(landmarks[13, :2] + pose.to_picture(as_float32(places)))[:, 0] / unit
    first, last = int(seen[:80].argmin()), 80 + int(seen[80:].argmax())
    return as_float32(np.stack([seen, u], -1)[first : last + 1])


def _extract_teeth(rgb: Picture, lips: LipEdges, unit: float, skin_luma: float) -> PortraitTeeth | None:
    height, width = rgb.shape[:2]
    box = _clip_box(_mouth_bounds(lips, unit), (width, height))
    inside = lips.opening_mask(pixel_positions(box), _MAX_TEETH_DROP * unit)
    return extract_portrait_teeth(rgb[box[1] : box[3], box[0] : box[2]], inside, skin_luma, (box[0], box[1]))


def _median_colour(rgb: Picture, landmarks: Landmarks, points: tuple[int, ...]) -> Array:
    height, width = rgb.shape[:2]
    at = np.clip(np.rint(landmarks[list(points), :2]).astype(int), 0, [width - 1, height - 1])
    return as_float32(np.median(rgb[at[:, 1], at[:, 0]], axis=0))


def _find_moving_box(head: FieldBasis, matte: NDArray[np.uint8]) -> PixelBox:
    """The smallest box around every pixel of the person that the head's motion can reach."""
    grid = head.grid
    reach = np.abs(head.fields).reshape(-1, grid.rows, grid.columns, 2).max((0, 3)) > _MIN_MOTION_PIXELS
    wide = cv2.dilate(np.asarray(reach, np.uint8), np.ones((5, 5), np.uint8))
    height, width = matte.shape
    person = cv2.resize(wide, (width, height), interpolation=cv2.INTER_NEAREST) * (matte > 0)
    x, y, across, down = cv2.boundingRect(np.asarray(person, np.uint8))
    margin = 2 * grid.step
    return _clip_box((x - margin, y - margin, x + across + margin, y + down + margin), (width, height))


def _build_static_picture(rgb: Picture, background: Picture, box: PixelBox) -> Picture:
    """The background inside `box`, the picture around it."""
    still, window = rgb.copy(), (slice(box[1], box[3]), slice(box[0], box[2]))
    still[window] = background[window]
    return still


def _union_boxes(a: PixelBox, b: PixelBox) -> PixelBox:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def separate_person(rgb: Picture, matte: NDArray[np.uint8]) -> tuple[Picture, Picture, NDArray[np.uint8]]:
    """Person, background and the share of person: laid over each other they are the picture again, to a grey level.

    Where both show in a pixel its colour is unmixed, so that neither leaves an edge behind when the person moves;
    where one hides the other, the hidden one is continued smoothly.
    """
    solid = np.rint(255 * np.clip((matte / 255 - _MATTE_MARGIN) / (1 - 2 * _MATTE_MARGIN), 0, 1)).astype(
        np.uint8
    )
    scene = as_float32(infill_colours(rgb, as_float32(solid == 0)))
    solid = np.where(solid > 0, np.maximum(solid, _least_opacity(rgb, scene)), 0).astype(np.uint8)
    share = as_float32(solid[..., None] / 255)
    figure = as_float32(infill_colours(rgb, as_float32(solid == 255)))
    trust = np.clip(share / 0.4, 0, 1)
    person = trust * _unmix_colour(rgb, share, scene) + (1 - trust) * figure
    # A matte that is wide of the person makes what it takes for mixed darker or lighter than anything around it.
    seen = np.clip(_unmix_colour(rgb, 1 - share, person), np.minimum(rgb, scene), np.maximum(rgb, scene))
    background = np.where(share < 1, seen, scene)
    person = np.where(share > 0, _unmix_colour(rgb, share, background), figure)
    return np.rint(person).astype(np.uint8), np.rint(background).astype(np.uint8), solid


def _least_opacity(mixed: Picture, other: Array) -> Array:
    """The least opacity, 0…255, of anything over `other` that could make `mixed`; with less, no colour would do."""
    left = np.minimum(mixed / np.maximum(other, 1), (255 - mixed) / np.maximum(255 - other, 1)).min(2)
    return as_float32(np.rint(255 * np.clip(1 - left, 0, 1)))


def _unmix_colour(mixed: Picture, share: Array, other: Array) -> Array:
    """The colour that makes `mixed` when laid over `other` with opacity `share`, as far as there is one."""
    return as_float32(np.clip((mixed - (1 - share) * other) / np.maximum(share, 1 / 255), 0, 255))


def _mouth_bounds(lips: LipEdges, unit: float) -> tuple[float, float, float, float]:
    half, up, down = 1.45 * lips.half_width, 0.3 * unit, 0.6 * unit
    corners = as_float32([[-half, -up], [half, -up], [half, down], [-half, down]])
    return _expand_bounds(lips.frame.origin + lips.frame.to_picture_vectors(corners), _HEAD_REACH * unit)


def _expand_bounds(corners: Array, margin: float) -> tuple[float, float, float, float]:
    low, high = corners.min(0) - margin, corners.max(0) + margin
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _clip_box(box: tuple[float, float, float, float], size: tuple[int, int]) -> PixelBox:
    x0, y0 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    return x0, y0, min(size[0], int(np.ceil(box[2]))), min(size[1], int(np.ceil(box[3])))

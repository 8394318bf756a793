"""A portrait with parted lips, with its mouth shut.

The face above and the face below the seam are warped apart and composed at the seam, so that nothing of the inside of
the mouth is left. Lips keep their texture and outline; chin and jaw follow the lower lip; nose and cheeks stay.

Constants were chosen by eye on the portraits listed in `docs/mesh.md`; lengths are relative to the mouth's width.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks, Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image, smoothstep
from liveavatar.mesh.geometry.boxes import PixelBox, clip_box, pixel_positions, slice_box
from liveavatar.mesh.geometry.face_landmarks import (
    FACE_POINT_COUNT,
    LOWER_LIP,
    OUTER_MOUTH_CORNERS,
    UPPER_LIP,
    interocular_distance,
)
from liveavatar.mesh.geometry.lip_seam import LipSeam
from liveavatar.mesh.geometry.warp_field import WarpGrid, thin_plate_spline
from liveavatar.mesh.lips.inner_edges import LipColours
from liveavatar.mesh.lips.lip_contours import (
    CURVE_LANDMARKS,
    MOUTH_PIXELS,
    POINTS,
    LipContours,
    MouthPatch,
    measure_curve_positions,
)
from liveavatar.mesh.lips.lip_repair import repair_lips

LIP_CORNERS = (61, 291, 76, 306, 62, 292, 78, 308)
"""Left and right corner of four lines of the lips, from the outer line to the inner one."""
_STILL_LANDMARKS = (2, 97, 326, 98, 327, 64, 294, 48, 278, 205, 425, 50, 280, 36, 266, 187, 411)
"""Nose and cheeks."""
_FOLD_LANDMARKS = {206: 0.35, 426: 0.35, 216: 0.35, 436: 0.35, 212: 0.6, 432: 0.6, 57: 0.6, 287: 0.6}
"""Share of the motion of the mouth's corner on its side."""
_JAW_LANDMARKS = {152: 1.0, 148: 1.0, 377: 1.0, 176: 1.0, 400: 1.0, 199: 1.0, 200: 1.0, 149: 0.85, 378: 0.85,
                  150: 0.65, 379: 0.65, 136: 0.4, 365: 0.4, 172: 0.15, 397: 0.15, 58: 0.0, 288: 0.0,
                  212: 0.3, 432: 0.3}  # fmt: skip
"""Share of the jaw's motion."""
_JAW_SLACK, _JAW_SHARE = 0.12, 0.95
"""Motion of the lower lip that the chin does not follow, and its share of what is beyond."""
_BOX = (-1.1, -0.95, 1.1, 1.35)
"""What the warp reaches: left, top, right and bottom from the middle of the mouth."""
_BOX_GROWTH = 0.8
"""Growth of its bottom with the gap."""
_BORDER_POINTS = 7
_NODES_PER_MOUTH = 40
_SMOOTHING = 1e-4
"""Smoothing of the splines: with more, edges of lips are up to a pixel off their curves."""
_CONTROL_STEP = 3
"""Every so many points of a contour bind the warp."""
_LINE_SHARE = 0.6
"""Largest opacity of the dark line between the lips."""
_SHADE_BELOW, _SHADE_ABOVE = 0.20, 0.14
"""Opacity of the shade that the lips cast on each other."""
_DARK_SHARES = (0.45, 0.55, 0.45)
"""The line's colour: shares of the lips' darkest L and of their a and b."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SideWarp:
    """Control points of one side of the face: `before` and `after` [n, 2], in the picture."""

    before: Array
    after: Array

    def move_points(self, points: Array) -> Array:
        """Where `points` [m, 2] of the portrait lie with the mouth shut."""
        return points + thin_plate_spline(self.before, self.after - self.before, points, _SMOOTHING)

    def sampling_positions(self, grid: WarpGrid, box: PixelBox) -> Array:
        """Portrait positions of the pixels of `box`, [h, w, 2]."""
        nodes = grid.node_positions()
        field = thin_plate_spline(self.after, self.before - self.after, nodes.reshape(-1, 2), _SMOOTHING)
        return grid.upsample_to_pixels(grid.field_to_positions(field.reshape(nodes.shape)), box)


def close_mouth(
    portrait: Portrait,
    patch: MouthPatch,
    contours: LipContours,
    shut: LipContours,
    colours: LipColours,
    blur: float,
    *,
    repair: bool = False,
) -> tuple[Portrait, LipSeam]:
    """The portrait with its lips moved from `contours` to `shut`, and the seam between them; `blur` in pixels.

    With `repair`, what is no lip on them, and lip beside them, is painted over.
    """
    points = patch.to_patch(portrait.landmarks[:, :2])
    jaw = _jaw_rise(contours, shut)
    box, border = _warp_box(patch, contours, portrait.rgb.shape[:2])
    fixed = _fixed_controls(points, contours, shut, jaw, border)
    warps = tuple(
        _join_controls(patch, pairs, fixed)
        for pairs in (
            ((contours.outer_upper, shut.outer_upper), (contours.inner_upper, shut.inner_upper)),
            ((contours.outer_lower, shut.outer_lower), (contours.inner_lower, shut.inner_lower)),
        )
    )
    landmarks = _move_landmarks(portrait.landmarks, patch, box, shut, warps)
    seam = patch.to_picture(shut.inner_upper)
    lips = LipSeam.from_points(seam, interocular_distance(portrait.landmarks), blur)
    step = max(1, round(MOUTH_PIXELS / patch.scale / _NODES_PER_MOUTH))
    grid = WarpGrid(
        origin=box[:2], step=step, columns=-(-(box[2] - box[0]) // step), rows=-(-(box[3] - box[1]) // step)
    )
    upper, lower = (warp.sampling_positions(grid, box) for warp in warps)
    at = pixel_positions(box)
    share = lips.upper_side_mask(at)
    rgb, matte = portrait.rgb.copy(), portrait.matte.copy()
    mixed = _mix_sides(portrait.rgb, (upper, lower), share)
    if repair:
        mixed = repair_lips(mixed, at, patch, shut, colours)
    slice_box(rgb, box)[:] = _draw_line(mixed, lips, at, colours)
    slice_box(matte, box)[:] = _mix_sides(portrait.matte, (upper, lower), share)
    return replace(portrait, rgb=rgb, matte=matte, landmarks=landmarks), lips


def _jaw_rise(contours: LipContours, shut: LipContours) -> float:
    """How far the chin moves down, patch pixels; negative as the mouth shuts."""
    middle = POINTS // 2
    way = float(shut.inner_lower[middle, 1] - contours.inner_lower[middle, 1])
    return float(np.sign(way)) * _JAW_SHARE * max(0.0, abs(way) - _JAW_SLACK * MOUTH_PIXELS)


def _warp_box(patch: MouthPatch, contours: LipContours, size: tuple[int, int]) -> tuple[PixelBox, Array]:
    """The pixels that the warp reaches, and points around them that stay, [n, 2], in the patch."""
    middle = patch.to_patch(patch.frame.origin)
    left, top, right, bottom = (side * MOUTH_PIXELS for side in _BOX)
    bottom += _BOX_GROWTH * max(0.0, float(contours.gaps.max()))
    x, y = np.linspace(left, right, _BORDER_POINTS), np.linspace(top, bottom, _BORDER_POINTS)[1:-1]
    border = [(u, v) for u in x for v in (top, bottom)] + [(u, v) for v in y for u in (left, right)]
    around = as_float32(border) + middle
    corners = patch.to_picture(around)
    (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
    return clip_box((float(x0), float(y0), float(x1), float(y1)), (size[1], size[0])), around


def _fixed_controls(
    points: Array, contours: LipContours, shut: LipContours, jaw: float, border: Array
) -> tuple[Array, Array]:
    """Control points besides the lips, before and after, [n, 2], in the patch."""
    still = points[list(_STILL_LANDMARKS)]
    moved = [np.vstack([still, border])]
    before = [moved[0]]
    corners = shut.outer_upper[[0, -1]] - contours.outer_upper[[0, -1]]
    middle = float(points[list(OUTER_MOUTH_CORNERS), 0].mean())
    for number in sorted({*_FOLD_LANDMARKS, *_JAW_LANDMARKS}):
        place = points[number]
        corner = corners[0] if place[0] < middle else corners[1]
        shift = _FOLD_LANDMARKS.get(number, 0.0) * corner
        shift = shift + as_float32([0, _JAW_LANDMARKS.get(number, 0.0) * jaw])
        before.append(place[None])
        moved.append((place + shift)[None])
    return as_float32(np.vstack(before)), as_float32(np.vstack(moved))


def _join_controls(
    patch: MouthPatch, pairs: tuple[tuple[Array, Array], ...], fixed: tuple[Array, Array]
) -> _SideWarp:
    before = np.vstack([*(curve[::_CONTROL_STEP] for curve, _ in pairs), fixed[0]])
    after = np.vstack([*(curve[::_CONTROL_STEP] for _, curve in pairs), fixed[1]])
    return _SideWarp(before=patch.to_picture(before), after=patch.to_picture(after))


def _move_landmarks(
    landmarks: Landmarks, patch: MouthPatch, box: PixelBox, shut: LipContours, warps: tuple[_SideWarp, ...]
) -> Landmarks:
    """Landmarks of the shut mouth: those of the lips on the curves of `shut`, others in `box` by the warps."""
    moved = landmarks.copy()
    face = landmarks[:FACE_POINT_COUNT, :2]
    upper, lower = (warp.move_points(face) for warp in warps)
    above = patch.frame.to_local(face)[:, 1] < 0
    inside = ((face >= as_float32(box[:2])) & (face < as_float32(box[2:]))).all(1)
    moved[:FACE_POINT_COUNT, :2][inside] = np.where(above[:, None], upper, lower)[inside]
    lips = [*UPPER_LIP, *LOWER_LIP, *LIP_CORNERS]
    moved[lips, :2] = trace_lip_landmarks(landmarks, patch, shut)[lips]
    return moved


def trace_lip_landmarks(landmarks: Landmarks, patch: MouthPatch, contours: LipContours) -> Array:
    """Positions of the lips' landmarks on `contours` of the mouth of a face with `landmarks`, [478, 2]."""
    placed = landmarks[:, :2].copy()
    points, numbers = patch.to_patch(placed), np.arange(POINTS)
    curves = []
    for row, curve in zip(CURVE_LANDMARKS, contours.curves, strict=True):
        at = measure_curve_positions(points[list(row)])
        curves.append(as_float32(np.stack([np.interp(at, numbers, axis) for axis in curve.T], 1)))
    for lip, outer, inner in ((UPPER_LIP, curves[0], curves[1]), (LOWER_LIP, curves[3], curves[2])):
        for line in range(4):
            place = outer + (inner - outer) * np.float32(line / 3)
            placed[list(lip[9 * line : 9 * line + 9])] = patch.to_picture(place[1:-1])
    outer, inner = curves[0][[0, -1]], curves[1][[0, -1]]
    for line in range(4):
        place = outer + (inner - outer) * np.float32(line / 3)
        placed[list(LIP_CORNERS[2 * line : 2 * line + 2])] = patch.to_picture(place)
    return placed


def _mix_sides(picture: NDArray[np.uint8], positions: tuple[Array, Array], share: Array) -> NDArray[np.uint8]:
    """`picture` sampled at both `positions` [h, w, 2] and mixed by `share` [h, w] of the first."""
    upper, lower = (remap_image(picture, at, cv2.INTER_LANCZOS4) for at in positions)
    return np.asarray(cv2.blendLinear(upper, lower, share, 1 - share), np.uint8)


def _draw_line(rgb: Picture, lips: LipSeam, at: Array, colours: LipColours) -> Picture:
    """`rgb` with the dark line between the lips and the shade beside it."""
    light = np.percentile(np.vstack([colours.upper, colours.lower])[:, 0], 3)
    _, red, yellow = colours.median
    lab = as_float32(np.array([[[light, red, yellow]]]) * _DARK_SHARES)
    dark = 255 * np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB))[0, 0]
    opacity = _line_opacity(lips, at)[..., None]
    return np.asarray(np.rint(np.clip(rgb * (1 - opacity) + dark * opacity, 0, 255)), np.uint8)


def _line_opacity(lips: LipSeam, at: Array) -> Array:
    """Opacity of line and shade at picture positions `at` [h, w, 2]."""
    local = lips.frame.to_local(at)
    down, mouth = lips.depth_below(local), 2 * lips.half_width
    end = 0.5 * (1 - np.abs(local[..., 0]) / lips.half_width)
    inward = smoothstep(end, 0, 0.3)
    width = lips.line * (0.7 + 0.3 * inward)
    share = _LINE_SHARE / max(1.0, lips.line) ** 0.5
    line = share * np.exp(-np.square(down / width)) * smoothstep(end, 0, 0.05)
    below = _SHADE_BELOW * np.exp(-np.maximum(down, 0) / (0.02 * mouth + width)) * (down > 0)
    above = _SHADE_ABOVE * np.exp(np.minimum(down, 0) / (0.015 * mouth + width)) * (down <= 0)
    return as_float32(np.maximum(line, (below + above) * smoothstep(end, 0, 0.2)))

"""Displacement fields of the face's shapes, for the upper and for the lower lip.

A smooth field cannot open a mouth. Each shape is therefore interpolated twice: without the landmarks of the lower lip,
and without those of the upper lip.
"""

import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.arrays import Array
from liveavatar.mesh.geometry.face_landmarks import (
    CHIN_LANDMARK,
    FACE_OVAL,
    FACE_POINT_COUNT,
    LOWER_LIP,
    OUTER_EYE_CORNERS,
    UPPER_LIP,
    interocular_distance,
)
from liveavatar.mesh.geometry.lip_seam import LipSeam
from liveavatar.mesh.geometry.warp_field import FieldBasis, WarpGrid

BoolArray = NDArray[np.bool_]

_MARGIN_BEFORE, _MARGIN_AFTER = 0.55, 0.65
"""Margins of the grid left of and above the face oval, and right of and below it, interocular units."""
_NODES_PER_UNIT, _MIN_NODE_STEP = 28, 2
"""Nodes of the grid in an interocular unit, and the least pixels between them."""
_MOUTH_COLUMN = 0.9
"""Half the width of the column above and below the mouth in which only one lip's landmarks count, relative to half the
mouth's width."""
_SMOOTHING = 0.003
"""Smoothing of the splines."""
_PIN_SPACING = 4
"""Nodes along the rim of the grid from one pinned node to the next."""
_UPPER_FACE = 0.1
"""How far below the line of the eyes the pinned part of the oval begins, relative to the distance of eyes and chin."""
_PIN_RING_SCALE = 1.3
"""Size of the ring of pinned points around the eyes relative to the face oval."""


def build_face_bases(landmarks: Landmarks, shapes: Array, lips: LipSeam) -> tuple[FieldBasis, FieldBasis]:
    """Interpolate `shapes` [k, 478, 2], displacements in pixels: for the upper lip's side, and for the lower lip's."""
    grid = _build_face_grid(landmarks)
    points = landmarks[:FACE_POINT_COUNT, :2]
    local = lips.frame.to_local(points)
    pinned = _find_pinned_points(grid, landmarks)
    upper, lower = (
        FieldBasis.from_shapes(grid, points[used], shapes[:, :FACE_POINT_COUNT][:, used], pinned, _SMOOTHING)
        for used in _select_side_points(local, lips)
    )
    return upper, lower


def _build_face_grid(landmarks: Landmarks) -> WarpGrid:
    unit = interocular_distance(landmarks)
    oval = landmarks[list(FACE_OVAL), :2]
    low, high = oval.min(0) - _MARGIN_BEFORE * unit, oval.max(0) + _MARGIN_AFTER * unit
    step = max(_MIN_NODE_STEP, round(unit / _NODES_PER_UNIT))
    columns, rows = (int(np.ceil(extent / step)) for extent in high - low)
    return WarpGrid(origin=(int(low[0]), int(low[1])), step=step, columns=columns, rows=rows)


def _select_side_points(local: Array, lips: LipSeam) -> tuple[BoolArray, BoolArray]:
    """Which landmarks, at `local` [n, 2] in the mouth's frame, determine the upper side's field and the lower side's.

    In the column of the mouth each side uses only the landmarks on its own side of the lips, and extrapolates.
    """
    number = np.arange(len(local))
    upper_lip, lower_lip = np.isin(number, UPPER_LIP), np.isin(number, LOWER_LIP)
    column = np.abs(local[:, 0]) < _MOUTH_COLUMN * lips.half_width
    above, below = column & (local[:, 1] < 0), column & (local[:, 1] > 0)
    return upper_lip | ~(lower_lip | below), lower_lip | ~(upper_lip | above)


def _find_pinned_points(grid: WarpGrid, landmarks: Landmarks) -> Array:
    """Points that no shape moves, [p, 2]: the rim of the grid, and a ring around the upper half of the face."""
    nodes = grid.node_positions()
    rim = (
        nodes[0, ::_PIN_SPACING],
        nodes[-1, ::_PIN_SPACING],
        nodes[::_PIN_SPACING, 0],
        nodes[::_PIN_SPACING, -1],
    )
    oval = landmarks[list(FACE_OVAL), :2]
    eye_line = landmarks[list(OUTER_EYE_CORNERS), :2].mean(0)
    up = eye_line - landmarks[CHIN_LANDMARK, :2]
    upper_oval = oval[(oval - eye_line) @ up > -_UPPER_FACE * float(up @ up)]
    return np.vstack([*rim, eye_line + (upper_oval - eye_line) * _PIN_RING_SCALE]).astype(np.float32)

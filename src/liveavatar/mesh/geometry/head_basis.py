"""Displacement fields of the head: turning, nodding, tilting, shifting and breathing.

Angles are small (under 6 degrees), so a turn is linear: a point at distance Z in front of the neck's axis moves
sideways by yaw·Z. Each degree of freedom is one field over the picture; the head's field is their weighted sum.
Shoulders follow the shifts in part. The background does not move, nor does what the picture cuts (`cut_edges`).
"""

import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.arrays import Array, as_float32, smoothstep
from liveavatar.mesh.geometry.curves import CoordinateFrame
from liveavatar.mesh.geometry.cut_edges import measure_motion_shares
from liveavatar.mesh.geometry.face_landmarks import (
    CHIN_LANDMARK,
    FACE_OVAL,
    FACE_POINT_COUNT,
    FOREHEAD_LANDMARK,
    OUTER_EYE_CORNERS,
    interocular_distance,
)
from liveavatar.mesh.geometry.warp_field import FieldBasis, WarpGrid, thin_plate_spline

DEGREES_OF_FREEDOM = ("yaw", "pitch", "roll", "shift_x", "shift_y", "breath")

_NODES_PER_UNIT, _MIN_NODE_STEP = 8, 4
"""Nodes of the grid in an interocular unit, and the least pixels between them: head fields are smooth."""
_NECK_FADE = (0.05, 0.95)
"""Distances below the chin between which the head's motion fades out, interocular units."""
_SIDE_FADE = (1.5, 2.4)
"""Distances to the sides between which it fades out, interocular units: a raised hand does not move."""
_SHOULDER_SHARE = 0.35
"""Share of the head's shifts that the shoulders follow."""
_SHOULDER_START, _SHOULDER_SIDE_FADE = (-0.2, 0.6), (2.4, 3.8)
"""Distances below the chin between which shoulders begin, and to the sides between which they end."""
_PIVOT_BELOW_CHIN = 0.25
"""Centre of the roll, interocular units below the chin."""
_CHEST_FADE = (1.2, 3.0)
"""Distances below the chin between which the rise of the breath fades out, interocular units."""
_BREATH_RISE = 0.012
"""Rise of the shoulders with a full breath, interocular units."""
_BREATH_EDGE = 0.5
"""Height above the lower edge of the picture over which the rise fades out, interocular units."""
_SILHOUETTE_DEPTH, _FACE_DEPTH = 0.2, 0.35
"""Distances of the silhouette and of the rim of the face in front of the neck's axis, interocular units."""
_SILHOUETTE_SCALE = 1.45
"""Size of the head's silhouette relative to the face oval."""
_DEPTH_FADE = (1.0, 1.5)
"""Distances from the middle of the face between which depth becomes that of the silhouette, interocular units."""


def build_head_basis(landmarks: Landmarks, opacity: NDArray[np.uint8]) -> FieldBasis:
    """Fields of the six `DEGREES_OF_FREEDOM` over a picture whose person has `opacity` [height, width], 0…255.

    Per radian of an angle, per interocular unit of a shift, per full breath; in pixels.
    """
    unit = interocular_distance(landmarks)
    step = max(_MIN_NODE_STEP, round(unit / _NODES_PER_UNIT))
    height, width = opacity.shape
    columns, rows = -(-width // step), -(-height // step)
    grid = WarpGrid(origin=(0, 0), step=step, columns=columns, rows=rows)
    nodes = grid.node_positions()
    frame = CoordinateFrame.from_endpoints(*landmarks[list(OUTER_EYE_CORNERS), :2])
    local = frame.to_local(nodes) / unit
    chin = float(frame.to_local(landmarks[CHIN_LANDMARK, :2])[1]) / unit
    hold = 1 - smoothstep(local[..., 1] - chin, *_NECK_FADE)
    hold = hold * (1 - smoothstep(np.abs(local[..., 0]), *_SIDE_FADE))
    depth = _estimate_depth(landmarks, frame, nodes) * hold
    pivot = local - as_float32([0, chin + _PIVOT_BELOW_CHIN])
    chest = 1 - smoothstep(local[..., 1] - chin, *_CHEST_FADE)
    shoulders = chest * smoothstep(local[..., 1] - chin, *_SHOULDER_START)
    shoulders = shoulders * (1 - smoothstep(np.abs(local[..., 0]), *_SHOULDER_SIDE_FADE))
    shift = hold + _SHOULDER_SHARE * (1 - hold) * shoulders
    edge = np.clip((height - nodes[..., 1]) / (_BREATH_EDGE * unit), 0, 1)
    zero = np.zeros_like(hold)
    fields = [
        np.dstack([depth, zero]),
        np.dstack([zero, depth]),
        np.dstack([-pivot[..., 1] * hold, pivot[..., 0] * hold]),
        np.dstack([shift, zero]),
        np.dstack([zero, shift]),
        np.dstack([zero, -_BREATH_RISE * chest * edge]),
    ]
    shares = unit * measure_motion_shares(landmarks, opacity, nodes)
    turned = np.stack([frame.to_picture_vectors(as_float32(field)) * shares for field in fields])
    return FieldBasis(grid=grid, fields=as_float32(turned.reshape(len(fields), -1)))


def _estimate_depth(landmarks: Landmarks, frame: CoordinateFrame, nodes: Array) -> Array:
    """Distance of each node in front of the neck's axis, interocular units, [rows, columns]."""
    unit = interocular_distance(landmarks)
    oval = landmarks[list(FACE_OVAL)]
    back = float(np.percentile(oval[:, 2], 80))
    height = (back - landmarks[:FACE_POINT_COUNT, 2]) / unit + _FACE_DEPTH
    centre = as_float32((landmarks[FOREHEAD_LANDMARK, :2] + landmarks[CHIN_LANDMARK, :2]) / 2)
    ring = centre + (oval[:, :2] - centre) * _SILHOUETTE_SCALE
    points = as_float32(np.vstack([landmarks[:FACE_POINT_COUNT:2, :2], ring]))
    values = as_float32(np.concatenate([height[::2], np.full(len(ring), _SILHOUETTE_DEPTH)]))
    height = thin_plate_spline(points, values[:, None], nodes.reshape(-1, 2))
    distance = np.linalg.norm(frame.to_local(nodes) - frame.to_local(centre), axis=-1) / unit
    fade = smoothstep(distance, *_DEPTH_FADE)
    return as_float32(height.reshape(distance.shape) * (1 - fade) + _SILHOUETTE_DEPTH * fade)

"""The head as a body: it turns, nods, tilts and is carried by the breath; shoulders and scene stay.

For angles this small (under 6 degrees) a turn is linear: a point at depth Z in front of the neck's axis moves
sideways by yaw·Z. So each degree of freedom is one field over the picture, and a frame is their weighted sum.
"""

import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.face_landmarks import (
    CHIN_LANDMARK,
    FACE_OVAL,
    FOREHEAD_LANDMARK,
    OUTER_EYE_CORNERS,
    CoordinateFrame,
    interocular_distance,
)
from liveavatar.mesh.geometry.warp_field import Array, FieldBasis, WarpGrid, as_float32, thin_plate_spline

DEGREES_OF_FREEDOM = ("yaw", "pitch", "roll", "shift_x", "shift_y", "breath")

_NECK_FADE = (0.05, 0.95)
"""The head's hold on the neck fades between these distances below the chin, interocular units."""
_SIDE_FADE = (1.5, 2.4)
"""... and between these distances to the sides, so that a raised hand stays where it is."""
_BREATH_RISE = 0.012
"""Rise of the shoulders with a deep breath, interocular units."""


def build_head_basis(landmarks: Landmarks, size: tuple[int, int]) -> FieldBasis:
    """Fields of the six `DEGREES_OF_FREEDOM` over a picture of `size` (width, height)."""
    unit = interocular_distance(landmarks)
    step = max(4, round(unit / 8))
    columns, rows = (-(-extent // step) for extent in size)
    grid = WarpGrid(origin=(0, 0), step=step, columns=columns, rows=rows)
    nodes = grid.node_positions()
    frame = CoordinateFrame.from_endpoints(
        landmarks[OUTER_EYE_CORNERS[0], :2], landmarks[OUTER_EYE_CORNERS[1], :2]
    )
    local = frame.to_local(nodes) / unit
    chin = float(frame.to_local(landmarks[CHIN_LANDMARK, :2])[1]) / unit
    hold = 1 - _smoothstep_between(local[..., 1] - chin, *_NECK_FADE)
    hold = hold * (1 - _smoothstep_between(np.abs(local[..., 0]), *_SIDE_FADE))
    depth = _estimate_depth(landmarks, frame, nodes) * hold
    pivot = local - as_float32([0, chin + 0.25])
    zero, one = np.zeros_like(hold), hold
    chest = 1 - _smoothstep_between(local[..., 1] - chin, 1.2, 3.0)
    edge = np.clip((size[1] - nodes[..., 1]) / (0.5 * unit), 0, 1)
    fields = [
        np.dstack([depth, zero]),
        np.dstack([zero, depth]),
        np.dstack([-pivot[..., 1] * hold, pivot[..., 0] * hold]),
        np.dstack([one, zero]),
        np.dstack([zero, one]),
        np.dstack([zero, -_BREATH_RISE * chest * edge]),
    ]
    turned = np.stack([frame.to_picture_vectors(field.astype(np.float32)) * unit for field in fields])
    return FieldBasis(grid=grid, fields=turned.reshape(len(fields), -1).astype(np.float32))


def _estimate_depth(landmarks: Landmarks, frame: CoordinateFrame, nodes: Array) -> Array:
    """How far each node stands in front of the axis of the neck, interocular units; the silhouette at 0.2."""
    unit = interocular_distance(landmarks)
    oval = landmarks[list(FACE_OVAL)]
    back = float(np.percentile(oval[:, 2], 80))
    height = (back - landmarks[:468, 2]) / unit + 0.35
    centre = as_float32((landmarks[FOREHEAD_LANDMARK, :2] + landmarks[CHIN_LANDMARK, :2]) / 2)
    ring = centre + (oval[:, :2] - centre) * 1.45
    points = np.vstack([landmarks[:468:2, :2], ring]).astype(np.float32)
    values = np.concatenate([height[::2], np.full(len(ring), 0.2)]).astype(np.float32)
    height = thin_plate_spline(points, values[:, None], nodes.reshape(-1, 2))
    inside = np.linalg.norm(frame.to_local(nodes) - frame.to_local(centre), axis=-1) / unit
    fade = _smoothstep_between(inside, 1.0, 1.5)
    return as_float32(height.reshape(inside.shape) * (1 - fade) + 0.2 * fade)


def _smoothstep_between(x: Array, start: float, end: float) -> Array:
    t = np.clip((x - start) / (end - start), 0, 1)
    return as_float32(t * t * (3 - 2 * t))

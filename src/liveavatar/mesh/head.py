"""The head as a body: it turns, nods, tilts and is carried by the breath; shoulders and scene stay.

For angles this small (under 6 degrees) a turn is linear: a point at depth Z in front of the neck's axis moves
sideways by yaw·Z. So each degree of freedom is one field over the picture, and a frame is their weighted sum.
"""

import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.anatomy import CHIN, EYE_CORNERS, FACE_OVAL, FOREHEAD, Frame2D, interocular
from liveavatar.mesh.field import Array, FieldBasis, Grid, floats, spline

DEGREES_OF_FREEDOM = ("yaw", "pitch", "roll", "shift_x", "shift_y", "breath")

_NECK = (0.05, 0.95)
"""The head's hold on the neck fades between these distances below the chin, interocular units."""
_SIDES = (1.5, 2.4)
"""... and between these distances to the sides, so that a raised hand stays where it is."""
_BREATH_RISE = 0.012
"""Rise of the shoulders with a deep breath, interocular units."""


def head_basis(landmarks: Landmarks, size: tuple[int, int]) -> FieldBasis:
    """Fields of the six `DEGREES_OF_FREEDOM` over a picture of `size` (width, height)."""
    unit = interocular(landmarks)
    step = max(4, round(unit / 8))
    columns, rows = (-(-extent // step) for extent in size)
    grid = Grid(origin=(0, 0), step=step, columns=columns, rows=rows)
    nodes = grid.nodes()
    frame = Frame2D.between(landmarks[EYE_CORNERS[0], :2], landmarks[EYE_CORNERS[1], :2])
    local = frame.local(nodes) / unit
    chin = float(frame.local(landmarks[CHIN, :2])[1]) / unit
    hold = 1 - _smoothstep(local[..., 1] - chin, *_NECK)
    hold = hold * (1 - _smoothstep(np.abs(local[..., 0]), *_SIDES))
    depth = _depth(landmarks, frame, nodes) * hold
    pivot = local - floats([0, chin + 0.25])
    zero, one = np.zeros_like(hold), hold
    chest = 1 - _smoothstep(local[..., 1] - chin, 1.2, 3.0)
    edge = np.clip((size[1] - nodes[..., 1]) / (0.5 * unit), 0, 1)
    fields = [
        np.dstack([depth, zero]),
        np.dstack([zero, depth]),
        np.dstack([-pivot[..., 1] * hold, pivot[..., 0] * hold]),
        np.dstack([one, zero]),
        np.dstack([zero, one]),
        np.dstack([zero, -_BREATH_RISE * chest * edge]),
    ]
    turned = np.stack([frame.vectors(field.astype(np.float32)) * unit for field in fields])
    return FieldBasis(grid=grid, fields=turned.reshape(len(fields), -1).astype(np.float32))


def _depth(landmarks: Landmarks, frame: Frame2D, nodes: Array) -> Array:
    """How far each node stands in front of the axis of the neck, interocular units; the silhouette at 0.2."""
    unit = interocular(landmarks)
    oval = landmarks[list(FACE_OVAL)]
    back = float(np.percentile(oval[:, 2], 80))
    height = (back - landmarks[:468, 2]) / unit + 0.35
    centre = floats((landmarks[FOREHEAD, :2] + landmarks[CHIN, :2]) / 2)
    ring = centre + (oval[:, :2] - centre) * 1.45
    points = np.vstack([landmarks[:468:2, :2], ring]).astype(np.float32)
    values = np.concatenate([height[::2], np.full(len(ring), 0.2)]).astype(np.float32)
    height = spline(points, values[:, None], nodes.reshape(-1, 2))
    inside = np.linalg.norm(frame.local(nodes) - frame.local(centre), axis=-1) / unit
    fade = _smoothstep(inside, 1.0, 1.5)
    return floats(height.reshape(inside.shape) * (1 - fade) + 0.2 * fade)


def _smoothstep(x: Array, start: float, end: float) -> Array:
    t = np.clip((x - start) / (end - start), 0, 1)
    return floats(t * t * (3 - 2 * t))

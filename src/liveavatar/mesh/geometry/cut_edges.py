"""Where the picture cuts through hair, neck or shoulders: motion across such an edge would tear the person off it.

Motion fades out towards the edge, over the room between face and edge; where that is narrow, the whole head moves less.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.arrays import Array, as_float32, smoothstep
from liveavatar.mesh.geometry.face_landmarks import FACE_OVAL, interocular_distance

_FADE, _MIN_FADE = 0.55, 0.1
"""Distance from a cut edge over which motion fades out, and the least one beside a face that is cut, interocular units.
"""
_RIM_PIXELS = 3
"""Pixels beside an edge in which a person touches it."""
_WIDENING, _SOFTENING = 0.3, 0.15
"""Widening of the part of an edge that the person touches, and its blur, interocular units."""
_SOLID_OPACITY = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edge:
    """One edge, seen as the upper one of a turned picture.

    `touch` is 1 where the person touches it, `room` the distance of the face from it in pixels, and `along` the first
    and the last pixel of the face along it.
    """

    touch: Array
    room: float
    along: tuple[int, int]

    def motion_share(self, depth: Array, along: Array, unit: float) -> Array:
        """Share of the motion across the edge that is left at `depth` pixels from it and `along` it."""
        widened = cv2.dilate(self.touch.reshape(1, -1), np.ones((1, int(_WIDENING * unit) | 1), np.uint8))
        soft = cv2.GaussianBlur(widened, (0, 0), _SOFTENING * unit).ravel()
        held = soft[np.clip(along, 0, len(soft) - 1).astype(int)]
        first, last = self.along
        beside_face = bool(self.touch[max(first, 0) : max(last, 0)].any())
        fade = float(np.clip(self.room / unit, _MIN_FADE, _FADE)) if beside_face else _FADE
        return as_float32(fade / _FADE * (1 - (1 - smoothstep(depth / unit, 0, fade)) * held))


def measure_motion_shares(landmarks: Landmarks, opacity: NDArray[np.uint8], positions: Array) -> Array:
    """Shares of the motion to the right and down at `positions` [h, w, 2] that keep a portrait whole, [h, w, 2].

    `opacity` [height, width] is the person's, 0…255. All shares are 1 if the picture cuts nothing.
    """
    unit = interocular_distance(landmarks)
    height, width = opacity.shape
    solid = as_float32(opacity > _SOLID_OPACITY)
    oval = landmarks[list(FACE_OVAL), :2]
    (x0, y0), (x1, y1) = oval.min(0).tolist(), oval.max(0).tolist()
    columns, rows = (int(x0), int(x1)), (int(y0), int(y1))
    rim, x, y = _RIM_PIXELS, positions[..., 0], positions[..., 1]
    left = _Edge(touch=solid[:, :rim].max(1), room=x0, along=rows)
    right = _Edge(touch=solid[:, -rim:].max(1), room=width - 1 - x1, along=rows)
    top = _Edge(touch=solid[:rim].max(0), room=y0, along=columns)
    bottom = _Edge(touch=solid[-rim:].max(0), room=height - 1 - y1, along=columns)
    sideways = left.motion_share(x, y, unit) * right.motion_share(width - 1 - x, y, unit)
    upwards = top.motion_share(y, x, unit) * bottom.motion_share(height - 1 - y, x, unit)
    return as_float32(np.dstack([sideways, upwards]))

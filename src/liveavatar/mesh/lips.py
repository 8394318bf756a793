"""Where the upper face ends and the lower begins: the line between the lips, as soft masks.

A mouth is a tear in the picture. Everything above the upper lip's inner edge follows the upper lip, everything below
the lower lip's follows the jaw, and what opens between them shows the inside of the mouth. Beyond the corners there
is no tear: the two sides melt into each other over the width of a cheek.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.anatomy import INNER_LOWER, INNER_UPPER, MOUTH_CORNERS, Frame2D, polyline
from liveavatar.mesh.field import Array, floats, remap

_CLOSED = 0.035
"""An opening up to this many interocular units is taken for closed lips: landmarks are no better than that."""
_MELT = 0.5
"""Growth of the masks' softness with the distance from the mouth's corner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lips:
    """The inner edges of the lips over `columns`, all in pixels of the mouth's own frame."""

    frame: Frame2D
    columns: Array
    upper: Array
    lower: Array
    softness: float

    @classmethod
    def of(cls, landmarks: Landmarks, unit: float, luma: NDArray[np.uint8]) -> "Lips":
        """Measure the lips; the seam of a closed mouth is drawn to the darkest line nearby."""
        frame = Frame2D.between(landmarks[MOUTH_CORNERS[0]], landmarks[MOUTH_CORNERS[1]])
        half = float(np.linalg.norm(landmarks[MOUTH_CORNERS[1], :2] - landmarks[MOUTH_CORNERS[0], :2])) / 2
        columns = np.linspace(-half, half, 41, dtype=np.float32)
        upper = _smooth(polyline(frame, landmarks[list(INNER_UPPER), :2], columns))
        lower = _smooth(polyline(frame, landmarks[list(INNER_LOWER), :2], columns))
        if float((lower - upper).max()) <= _CLOSED * unit:
            upper = lower = _seam(frame, columns, floats((upper + lower) / 2), luma, reach=0.03 * unit)
        lower = floats(np.maximum(lower, upper))
        return cls(frame=frame, columns=columns, upper=upper, lower=lower, softness=max(0.9, 0.008 * unit))

    @property
    def half_width(self) -> float:
        """Half the distance of the mouth's corners, pixels."""
        return float(self.columns[-1])

    @property
    def gap(self) -> float:
        """How far the portrait's own lips are apart, pixels."""
        return float((self.lower - self.upper).max())

    def upper_share(self, at: Array) -> Array:
        """1 above the lips, 0 below, at portrait positions [h, w, 2]."""
        return self._side(at, floats((self.upper + self.lower) / 2))

    def layers(self, upper_at: Array, lower_at: Array) -> tuple[Array, Array]:
        """Opacity of the upper and of the lower side, [h, w] each, given where each side's pixels come from.

        The lower side reaches a little under the upper one, so that closed lips leave no crack.
        """
        tucked = self.lower - np.float32(1.5 * self.softness)
        above = self._side(lower_at, tucked) * self._within(lower_at)
        return self._side(upper_at, self.upper), 1 - above

    def inside(self, at: Array) -> Array:
        """Share of each portrait position [h, w, 2] that lies between the portrait's own lips."""
        between = (1 - self._side(at, self.upper)) * self._side(at, self.lower)
        return floats(self._within(at) * between)

    def _within(self, at: Array) -> Array:
        u = self.frame.local(at)[..., 0]
        return floats(np.clip((self.half_width - np.abs(u)) / self.softness, 0, 1))

    def _side(self, at: Array, edge: Array) -> Array:
        local = self.frame.local(at)
        u, v = local[..., 0], local[..., 1]
        index = (u - self.columns[0]) / (self.columns[1] - self.columns[0])
        height = remap(edge[None], floats(np.dstack([index, np.zeros_like(index)])), cv2.INTER_LINEAR)
        beyond = np.maximum(np.abs(u) - self.half_width, 0)
        return floats(np.clip(0.5 - (v - height) / (self.softness + _MELT * beyond), 0, 1))


def _smooth(curve: Array) -> Array:
    kernel = floats([1, 2, 3, 2, 1]) / 9
    smooth = floats(np.convolve(np.pad(curve, 2, mode="edge"), kernel, mode="valid"))
    smooth[[0, -1]] = curve[[0, -1]]
    return smooth


def _seam(frame: Frame2D, columns: Array, guess: Array, luma: NDArray[np.uint8], reach: float) -> Array:
    """The dark line between closed lips: in each column the darkest height within `reach` of the guess, smoothed."""
    offsets = np.linspace(-reach, reach, 25, dtype=np.float32)
    local = np.dstack([np.broadcast_to(columns, (25, len(columns))), guess[None] + offsets[:, None]])
    at = floats(frame.origin + frame.vectors(floats(local)))
    soft = cv2.GaussianBlur(luma, (0, 0), max(0.5, 0.15 * reach))
    dark = remap(floats(soft), at, cv2.INTER_LINEAR)
    cost = dark + 12 * (offsets[:, None] / reach) ** 2
    found = floats(guess + offsets[np.argmin(cost, 0)])
    for _ in range(3):
        found = _smooth(found)
    # At the corners the shadow of the cheek is darker than the seam: trust the landmarks there.
    trust = np.clip(3 * (1 - np.abs(columns) / columns[-1]), 0, 1)
    return floats(trust * found + (1 - trust) * guess)

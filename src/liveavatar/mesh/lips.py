"""Where the upper face ends and the lower begins: the line between the lips, as soft masks.

A mouth is a tear in the picture. Everything above the upper lip's inner edge follows the upper lip, everything below
the lower lip's follows the jaw, and what opens between them shows the inside of the mouth. Beyond the corners there
is no tear: the two sides melt into each other over the width of a cheek.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.anatomy import INNER_LOWER, INNER_UPPER, MOUTH_CORNERS, Frame2D, polyline
from liveavatar.mesh.field import Array, floats, remap

_CLOSED = 0.035
"""An opening up to this many interocular units is taken for closed lips: landmarks are no better than that."""
_WIDE, _WIDE_REACH = 0.15, 0.15
"""In openings beyond this, interocular units, landmarks are wrong by up to this share: drawn people laugh wider."""
_LINE = 15.0
"""Grey levels by which the line between lips is darker than they are; where it is not, landmarks are believed."""
_TUCK, _BACK = 1.5, 0.6
"""How far the lower side reaches under the upper one on shut lips, and draws back on open ones, times the softness."""
_PALER = 12.0
"""Lab's light less red, by which teeth are paler than the lip under them."""
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
    def of(cls, landmarks: Landmarks, unit: float, rgb: Picture) -> "Lips":
        """Measure the lips; the seam of a closed mouth is drawn to the darkest line nearby, the edges of an open one to
        where red begins."""
        frame = Frame2D.between(landmarks[MOUTH_CORNERS[0]], landmarks[MOUTH_CORNERS[1]])
        half = float(np.linalg.norm(landmarks[MOUTH_CORNERS[1], :2] - landmarks[MOUTH_CORNERS[0], :2])) / 2
        columns = np.linspace(-half, half, 41, dtype=np.float32)
        upper = _smooth(polyline(frame, landmarks[list(INNER_UPPER), :2], columns))
        lower = _smooth(polyline(frame, landmarks[list(INNER_LOWER), :2], columns))
        gap = float((lower - upper).max()) / unit
        if gap <= _CLOSED:
            upper = lower = _seam(frame, columns, floats((upper + lower) / 2), rgb, reach=0.03 * unit)
        else:
            rim = _rim if gap < _WIDE else _outer_rim
            reach = (0.035 + _WIDE_REACH * max(gap - _WIDE, 0)) * unit
            upper = rim(frame, columns, upper, rgb, side=-1, reach=reach)
            lower = rim(frame, columns, lower, rgb, side=1, reach=reach)
            if gap >= _WIDE:
                lower = _past_teeth(frame, columns, lower, rgb, reach=0.06 * unit)
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
        local = self.frame.local(at)
        return self._share(local, self._down(local, floats((self.upper + self.lower) / 2)))

    def layers(self, upper_at: Array, lower_at: Array) -> tuple[Array, Array]:
        """Opacity of the upper and of the lower side, [h, w] each, given where each side's pixels come from.

        Of a mouth that is shut in the portrait the lower side reaches a little under the upper one, so that it leaves
        no crack; above the lower lip of an open one there are teeth, which must not come along. As the lips part, the
        lower side draws back behind its edge, and takes nothing of the line between them along.
        """
        upper, lower = self.frame.local(upper_at), self.frame.local(lower_at)
        below, above = self._down(upper, self.upper), -self._down(lower, self.lower)
        hidden = -above
        if self.gap == 0:
            parted = np.float32(0.5 / self.softness) * (below + above)
            hidden += np.float32(self.softness) * np.clip(np.float32(_TUCK) - parted, -_BACK, _TUCK)
        return self._share(upper, below), 1 - self._share(lower, hidden) * self._within(lower)

    def inside(self, at: Array, depth: float) -> Array:
        """Share of each portrait position [h, w, 2] between the portrait's own lips, `depth` pixels down at most."""
        local = self.frame.local(at)
        above, floor = self._down(local, self.upper), floats(np.minimum(self.lower, self.upper + depth))
        return floats(
            self._within(local)
            * (1 - self._share(local, above))
            * self._share(local, self._down(local, floor))
        )

    def _within(self, local: Array) -> Array:
        return floats(np.clip((self.half_width - np.abs(local[..., 0])) / self.softness, 0, 1))

    def _down(self, local: Array, edge: Array) -> Array:
        """How far below `edge`, in pixels."""
        index = (local[..., 0] - self.columns[0]) / (self.columns[1] - self.columns[0])
        height = remap(edge[None], floats(np.dstack([index, np.zeros_like(index)])), cv2.INTER_LINEAR)
        return floats(local[..., 1] - height)

    def _share(self, local: Array, down: Array) -> Array:
        """1 where `down` is negative, 0 where it is positive; the softer, the further beyond the corners."""
        beyond = np.maximum(np.abs(local[..., 0]) - self.half_width, 0)
        return floats(np.clip(0.5 - down / (self.softness + _MELT * beyond), 0, 1))


def _smooth(curve: Array) -> Array:
    kernel = floats([1, 2, 3, 2, 1]) / 9
    smooth = floats(np.convolve(np.pad(curve, 2, mode="edge"), kernel, mode="valid"))
    smooth[[0, -1]] = curve[[0, -1]]
    return smooth


def _seam(frame: Frame2D, columns: Array, guess: Array, rgb: Picture, reach: float) -> Array:
    """The line between closed lips: in each column the darkest height within `reach` of the guess, smoothed.

    The upper lip's shadow is as dark as the line, but does not end as abruptly: so what is lighter a little further
    down counts too.
    """
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    dark, offsets = _columns(frame, columns, guess, floats(luma), reach)
    rise = np.vstack([dark[4:], np.tile(dark[-1], (4, 1))]) - dark
    cost = dark - 1.5 * rise + 12 * (offsets[:, None] / reach) ** 2
    plain = np.clip((np.median(dark, 0) - dark.min(0)) / _LINE, 0, 1)
    return _along(columns, guess, floats(plain * offsets[np.argmin(cost, 0)]))


def _rim(frame: Frame2D, columns: Array, guess: Array, rgb: Picture, side: int, reach: float) -> Array:
    """Where an open lip ends: in each column the steepest rise of red towards the lip, which is below for `side` 1.

    Teeth and the dark are both paler than lips, so neither is mistaken for them, and none sticks to a moving lip.
    """
    red = _lab(rgb)[..., 1]
    values, offsets = _columns(frame, columns, guess, floats(red), reach)
    rise = side * np.gradient(values, axis=0)
    cost = 0.3 * (offsets[:, None] / reach) ** 2 - rise
    return _along(columns, guess, floats(offsets[np.argmin(cost, 0)] + side * 0.1 * reach))


def _outer_rim(frame: Frame2D, columns: Array, guess: Array, rgb: Picture, side: int, reach: float) -> Array:
    """As `_rim`, in a mouth wide open: the outermost plain rise of red and light, beyond tongue and lower teeth."""
    light, red, _ = cv2.split(_lab(rgb))
    values, offsets = _columns(frame, columns, guess, floats(red + 0.5 * floats(light)), reach)
    rise = side * np.gradient(values, axis=0)
    peak = rise >= np.maximum(np.roll(rise, 1, 0), np.roll(rise, -1, 0))
    plain = peak & (rise > 0.4 * rise.max(0))
    found = offsets[np.argmax(plain * (1.1 * reach + side * offsets[:, None]), 0)]
    steady = [np.median(found[max(0, at - 3) : at + 4]) for at in range(len(found))]
    return _along(columns, guess, floats(steady) + floats(side * 0.05 * reach))


def _past_teeth(frame: Frame2D, columns: Array, edge: Array, rgb: Picture, reach: float) -> Array:
    """The lower lip's edge, beyond lower teeth on it: they are lighter and less red than the lip below."""
    light, red, _ = cv2.split(_lab(rgb))
    values, _ = _columns(frame, columns, floats(edge + reach), floats(light - floats(red)), reach)
    found = np.zeros(len(columns), np.float32)
    for column, pale in enumerate(values.T):
        tooth = int(pale[:13].argmax())
        lip = tooth + int(pale[tooth : tooth + 12].argmin())
        if pale[tooth] - pale[lip] > _PALER:
            found[column] = (lip + tooth) / 24 * reach
    wide = floats(cv2.dilate(found[None], np.ones((1, 5))))[0]
    return floats(edge + _smooth(wide))


def _lab(rgb: Picture) -> Array:
    return floats(cv2.cvtColor(floats(rgb) / np.float32(255), cv2.COLOR_RGB2Lab))


def _columns(
    frame: Frame2D, columns: Array, guess: Array, values: Array, reach: float
) -> tuple[Array, Array]:
    """`values` [h, w] of the picture within `reach` of a line, [25, columns], and the heights relative to it [25]."""
    offsets = np.linspace(-reach, reach, 25, dtype=np.float32)
    local = np.dstack([np.broadcast_to(columns, (25, len(columns))), guess[None] + offsets[:, None]])
    at = floats(frame.origin + frame.vectors(floats(local)))
    soft = cv2.GaussianBlur(values, (0, 0), max(0.5, 0.15 * reach))
    return remap(floats(soft), at, cv2.INTER_LINEAR), offsets


def _along(columns: Array, guess: Array, offsets: Array) -> Array:
    """The line moved by `offsets`, smoothed. At the corners the shadow of the cheek misleads: there it stays."""
    found = floats(guess + offsets)
    for _ in range(3):
        found = _smooth(found)
    trust = np.clip(3 * (1 - np.abs(columns) / columns[-1]), 0, 1)
    return floats(trust * found + (1 - trust) * guess)

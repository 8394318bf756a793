"""Blinks and gaze, exact in closed form: a lid slides over an eyeball, the skin above it stretches.

In each eye's own frame the picture is cut along `v` by five curves over `u`: where the moving skin begins (`crease`),
the upper lid, the lower lid, and where the skin below is at rest again (`cheek`). A blink moves the lid curves and
stretches the skin between them; between the lids lies the eyeball, which only follows the gaze.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.anatomy import Eye, Frame2D, polyline
from liveavatar.mesh.field import Array, floats, remap
from liveavatar.mesh.sheet import Sheet

_LOWER_LID_SHARE = 0.12
"""Of the way to a closed eye, the lower lid goes this much and the upper one the rest (Evinger 1991)."""
_WET_RIM = 0.12
"""Height of the lower lid's bright rim, relative to the lid's travel: it goes under as the eye shuts."""
_GAZE_TO_EYE_WIDTH = 0.42
"""An eyeball's radius over the visible width of the eye: an angle of one radian moves the iris by this much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeWarp:
    """One eye of one portrait. `box` (x0, y0, x1, y1) bounds all that ever moves, in picture pixels."""

    frame: Frame2D
    width: float
    columns: Array
    crease: Array
    upper: Array
    lower: Array
    cheek: Array
    softness: float

    @classmethod
    def of(cls, eye: Eye, landmarks: Landmarks) -> "EyeWarp":
        """Measure the eye."""
        frame = Frame2D.between(landmarks[eye.upper[0]], landmarks[eye.upper[-1]])
        ends = frame.local(landmarks[[eye.upper[0], eye.upper[-1]], :2])[:, 0]
        width = float(ends[1] - ends[0])
        columns = np.linspace(ends[0], ends[1], 33, dtype=np.float32)
        upper = _smooth(polyline(frame, landmarks[list(eye.upper), :2], columns))
        lower = _smooth(polyline(frame, landmarks[list(eye.lower), :2], columns))
        lower = floats(np.maximum(lower, upper))
        brow = polyline(frame, landmarks[list(eye.brow), :2], columns)
        opening = float((lower - upper).max())
        # Skin is taken from the whole way up to the brow, so that it stretches rather than smears.
        crease = np.minimum(upper - 0.8 * opening, 0.35 * upper + 0.65 * brow)
        return cls(
            frame=frame,
            width=width,
            columns=columns,
            crease=floats(crease),
            upper=upper,
            lower=lower,
            cheek=floats(lower + max(0.6 * opening, 1.0)),
            softness=max(0.6, 0.012 * width),
        )

    @property
    def box(self) -> Array:
        """Corners of the region that moves, in the picture, [4, 2]."""
        left, right = self.columns[0] - 1, self.columns[-1] + 1
        top, bottom = self.crease.min() - 1, self.cheek.max() + 1
        corners = floats([[left, top], [right, top], [right, bottom], [left, bottom]])
        return floats(self.frame.origin + self.frame.vectors(corners))

    def heights(self, u: Array) -> tuple[Array, ...]:
        """The heights of crease, upper lid, lower lid and cheek at each `u`."""
        index = (u - self.columns[0]) / (self.columns[1] - self.columns[0])
        rows = np.dstack([self.crease, self.upper, self.lower, self.cheek])
        found = remap(rows, floats(np.dstack([index, np.zeros_like(index)])), cv2.INTER_LINEAR)
        return tuple(floats(found[..., curve]) for curve in range(4))


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeLayers:
    """One eye laid out on the sheet that layers are cut from: all about its texels that no blink changes.

    Arrays are float32 [h, w] over a window of the sheet; `window` [2, 3] takes texels of the sheet to its own. `v` is
    the height in the eye's frame, in pixels, and so are the `curves` crease, upper lid, lower lid and cheek; `hold`
    tells how far a texel follows the gaze, `sides` fades the eyeball out at the corners. `opened` is the table of the
    open eye.
    """

    eye: EyeWarp
    sheet: Sheet
    window: Array
    v: Array
    curves: tuple[Array, ...]
    hold: Array
    sides: Array
    opened: Array

    @classmethod
    def of(cls, eye: EyeWarp, sheet: Sheet) -> "EyeLayers":
        """Lay the eye out."""
        low, high = (sheet.scale * edge(eye.box, 0) for edge in (np.min, np.max))
        x, y = np.floor(low).tolist()
        texels = np.dstack(np.meshgrid(np.arange(x, high[0]), np.arange(y, high[1])))
        local = eye.frame.local(floats(texels / sheet.scale))
        u, v = floats(local[..., 0]), floats(local[..., 1])
        # The iris slides; towards the corners the white stays where it is, as on a sphere seen from the front.
        hold = floats(np.clip(1 - (u / (0.5 * eye.width)) ** 2, 0, 1))
        sides = np.minimum(u - eye.columns[0], eye.columns[-1] - u) / (0.06 * eye.width)
        blank = cls(
            eye=eye,
            sheet=sheet,
            window=floats([[1, 0, -x], [0, 1, -y]]),
            v=v,
            curves=eye.heights(u),
            hold=hold,
            sides=floats(np.clip(sides, 0, 1)),
            opened=hold,
        )
        return replace(blank, opened=blank.table(0.0))

    def lay(self, figure: NDArray[np.uint8], at: Array, blink: float, gaze: tuple[float, float]) -> None:
        """Shut the eye and turn its ball, in place: `figure` is what shows, `at` the texels it was taken from."""
        table = self.table(blink) if blink > 0 else self.opened
        found = remap(table, floats(cv2.transform(at, self.window)), cv2.INTER_LINEAR, clear=True)
        slide, hold, share, _ = (floats(layer) for layer in cv2.split(found))
        skin = self.sheet.sample(at + self._along(slide, (0.0, 1.0))) if blink > 0 else figure
        reach = _GAZE_TO_EYE_WIDTH * self.eye.width
        ball = self.sheet.sample(at - self._along(hold, (reach * gaze[0], reach * gaze[1])))
        figure[:] = cv2.blendLinear(ball, skin, share, 1 - share)

    def table(self, blink: float) -> Array:
        """How far down skin is taken from, how much of the gaze is followed, the share of eyeball; [h, w, 4]."""
        crease, upper, lower, cheek = self.curves
        v, soft = self.v, self.eye.softness
        travel = np.clip(lower - upper, 0, None) * np.float32(blink)
        lid, floor = upper + travel * (1 - _LOWER_LID_SHARE), lower - travel * _LOWER_LID_SHARE
        above = crease + (v - crease) * (upper - crease) / np.maximum(lid - crease, 0.5)
        below = cheek + (v - cheek) * (cheek - lower) / np.maximum(cheek - floor, 0.5)
        below = np.maximum(below, lower + _WET_RIM * travel)
        moved = np.where(v < (lid + floor) / 2, above, below)
        inside = (v > crease) & (v < cheek) & (self.sides > 0)
        slide = np.where(inside, moved - v, 0)
        ball = np.clip((v - lid) / soft, 0, 1) * np.clip((floor - v) / soft, 0, 1) * self.sides
        return floats(cv2.merge([floats(slide), self.hold, floats(ball), self.hold]))

    def _along(self, amount: Array, direction: tuple[float, float]) -> Array:
        """`amount` [h, w] times a direction of the eye's frame in pixels, as texels [h, w, 2]."""
        x, y = (self.sheet.scale * self.eye.frame.vectors(floats(direction))).tolist()
        return floats(cv2.merge([amount * np.float32(x), amount * np.float32(y)]))


def _smooth(curve: Array) -> Array:
    padded = np.pad(curve, 3, mode="edge")
    kernel = floats([1, 3, 6, 7, 6, 3, 1])
    smooth = floats(np.convolve(padded, kernel / kernel.sum(), mode="valid"))
    smooth[[0, -1]] = curve[[0, -1]]
    return smooth

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
from liveavatar.mesh.infill import spread
from liveavatar.mesh.sheet import Sheet

_LOWER_LID_SHARE = 0.12
"""Of the way to a closed eye, the lower lid goes this much and the upper one the rest (Evinger 1991)."""
_BARE = 0.3
"""From this blink on, lids are all skin: before, the picture's own edges are still on them."""
_MARGIN, _CORNER_MARGIN, _CORNER = 0.025, 0.075, 0.3
"""How far from the lids' edges skin is surely skin, of the eye's width: in the middle, and at the corners, which reach
so far inwards."""
_BEYOND = 0.15
"""How far beyond an eye's corners its white may reach, of the eye's width: landmarks are no better than that."""
_LASH, _LASH_WIDTH = 0.4, 0.04
"""How much light the line of lashes takes, and its height, of the eye's width."""
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
        beyond = _BEYOND * self.width + 1
        left, right = self.columns[0] - beyond, self.columns[-1] + beyond
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

    Arrays are over a window of the sheet, [h, w]; `window` [2, 3] takes texels of the sheet to its own. `v` is the
    height in the eye's frame, in pixels, and so are the `curves` crease, upper lid, lower lid and cheek. `plain` is
    the sheet, `bare` the same without the eyeball: what lids are made of. `rest` [h, w, 3] tells how far a texel
    follows the gaze, whether skin moves there, and the share of eyeball when the eye is open.
    """

    eye: EyeWarp
    sheet: Sheet
    window: Array
    v: Array
    curves: tuple[Array, ...]
    sides: Array
    plain: NDArray[np.uint8]
    bare: NDArray[np.uint8]
    rest: Array

    @classmethod
    def of(cls, eye: EyeWarp, sheet: Sheet) -> "EyeLayers":
        """Lay the eye out."""
        low, high = (sheet.scale * edge(eye.box, 0) for edge in (np.min, np.max))
        x, y = np.floor(low).tolist()
        texels = floats(np.dstack(np.meshgrid(np.arange(x, high[0]), np.arange(y, high[1]))))
        local = eye.frame.local(floats(texels / sheet.scale))
        u, v = floats(local[..., 0]), floats(local[..., 1])
        curves, plain = eye.heights(u), sheet.sample(texels)
        sides = np.minimum(u - eye.columns[0], eye.columns[-1] - u) / eye.width
        blank = cls(
            eye=eye,
            sheet=sheet,
            window=floats([[1, 0, -x], [0, 1, -y]]),
            v=v,
            curves=curves,
            sides=floats(np.clip(sides / 0.06, 0, 1)),
            plain=plain,
            bare=_bare(plain, v / eye.width, floats(curves) / eye.width, sides),
            rest=v,
        )
        # The iris slides; towards the corners the white stays where it is, as on a sphere seen from the front.
        hold = floats(np.clip(1 - (u / (0.5 * eye.width)) ** 2, 0, 1))
        skin = (v > curves[0]) & (v < curves[3]) & (sides > -_BEYOND)
        return replace(blank, rest=floats(cv2.merge([hold, floats(skin), blank.table(0.0)[..., 2]])))

    def lay(self, figure: NDArray[np.uint8], at: Array, blink: float, gaze: tuple[float, float]) -> None:
        """Shut the eye and turn its ball, in place: `figure` is what shows, `at` the texels it was taken from."""
        place = floats(cv2.transform(at, self.window))
        hold, skin, share = _split(remap(self.rest, place, cv2.INTER_LINEAR, clear=True))
        reach = _GAZE_TO_EYE_WIDTH * self.eye.width
        ball = self.sheet.sample(at - self._along(hold, (reach * gaze[0], reach * gaze[1])))
        if blink <= 0:
            figure[:] = _over(ball, figure, share)
            return
        moved = remap(self.table(blink), place, cv2.INTER_LINEAR, clear=True)
        above, below, share, lid = _split(moved)
        lids = self._lids(blink)
        upper, lower = (
            remap(lids, place + self._along(way, (0, 1)), cv2.INTER_LINEAR) for way in (above, below)
        )
        figure[:] = _over(upper, _over(ball, _over(lower, figure, skin), share), lid * skin)

    def _lids(self, blink: float) -> NDArray[np.uint8]:
        """What the lids are made of, over the window."""
        bare = min(1.0, blink / _BARE)
        return np.asarray(cv2.addWeighted(self.bare, bare, self.plain, 1 - bare, 0), np.uint8)

    def table(self, blink: float) -> Array:
        """How far down skin above and skin below is taken from, the shares of eyeball and upper lid; [h, w, 4]."""
        crease, upper, lower, cheek = self.curves
        v, soft = self.v, self.eye.softness
        travel = np.clip(lower - upper, 0, None) * np.float32(blink)
        lid, floor = upper + travel * (1 - _LOWER_LID_SHARE), lower - travel * _LOWER_LID_SHARE
        above = (v - crease) * (upper - crease) / np.maximum(lid - crease, 0.5) + crease - v
        below = (v - cheek) * (cheek - lower) / np.maximum(cheek - floor, 0.5) + cheek - v
        ball = np.clip((v - lid) / soft, 0, 1) * np.clip((floor - v) / soft, 0, 1) * self.sides
        share = np.clip((lid - v) / soft + 0.5, 0, 1)
        return floats(cv2.merge([floats(layer) for layer in (above, below, ball, share)]))

    def _along(self, amount: Array, direction: tuple[float, float]) -> Array:
        """`amount` [h, w] times a direction of the eye's frame in pixels, as texels [h, w, 2]."""
        x, y = (self.sheet.scale * self.eye.frame.vectors(floats(direction))).tolist()
        return floats(cv2.merge([amount * np.float32(x), amount * np.float32(y)]))


def _split(layers: Array) -> list[Array]:
    return [floats(layer) for layer in cv2.split(layers)]


def _over(top: NDArray[np.uint8], below: NDArray[np.uint8], share: Array) -> NDArray[np.uint8]:
    return np.asarray(cv2.blendLinear(top, below, share, 1 - share), np.uint8)


def _bare(plain: NDArray[np.uint8], v: Array, curves: Array, sides: Array) -> NDArray[np.uint8]:
    """`plain` without eyeball: skin from around with a line of lashes, or what is darker in the picture, except for
    the white in an eye's corners.

    Lengths are in widths of the eye; `sides` is how far a texel is from the nearer corner.
    """
    _, upper, lower, _ = curves
    corner = np.clip(1 - sides / _CORNER, 0, 1)
    margin = _MARGIN + (_CORNER_MARGIN - _MARGIN) * corner
    near = (v > upper - margin) & (v < lower + margin) & (sides > -_BEYOND)
    hidden = near | (plain[..., 3] < 255)
    skin = spread(np.ascontiguousarray(plain[..., :3]), floats(~hidden))
    lash = _LASH * np.exp(-(((v - upper) / _LASH_WIDTH) ** 2)) * np.clip(sides / 0.2, 0, 1)
    colour = skin * (1 - lash[..., None])
    white = (corner * (v > upper))[..., None]
    colour = white * colour + (1 - white) * np.minimum(plain[..., :3], colour)
    return np.asarray(np.dstack([np.where(near[..., None], colour, plain[..., :3]), plain[..., 3]]), np.uint8)


def _smooth(curve: Array) -> Array:
    padded = np.pad(curve, 3, mode="edge")
    kernel = floats([1, 3, 6, 7, 6, 3, 1])
    smooth = floats(np.convolve(padded, kernel / kernel.sum(), mode="valid"))
    smooth[[0, -1]] = curve[[0, -1]]
    return smooth

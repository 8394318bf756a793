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
from liveavatar.mesh.geometry.face_landmarks import CoordinateFrame, EyeLandmarks, interpolate_polyline
from liveavatar.mesh.geometry.warp_field import Array, as_float32, remap_image
from liveavatar.mesh.render.infill import infill_colours
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture

_LOWER_LID_SHARE = 0.12
"""Of the way to a closed eye, the lower lid goes this much and the upper one the rest (Evinger 1991)."""
_BARE_LID_BLINK = 0.3
"""From this blink on, lids are all skin: before, the picture's own edges are still on them."""
_SKIN_MARGIN, _CORNER_SKIN_MARGIN, _CORNER_EXTENT = 0.025, 0.075, 0.3
"""How far from the lids' edges skin is surely skin, of the eye's width: in the middle, and at the corners, which reach
so far inwards."""
_CORNER_OVERREACH = 0.15
"""How far beyond an eye's corners its white may reach, of the eye's width: landmarks are no better than that."""
_LASH_DARKNESS, _LASH_HEIGHT = 0.4, 0.04
"""How much light the line of lashes takes, and its height, of the eye's width."""
_GAZE_TO_EYE_WIDTH = 0.42
"""An eyeball's radius over the visible width of the eye: an angle of one radian moves the iris by this much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeContours:
    """One eye of one portrait. `box` (x0, y0, x1, y1) bounds all that ever moves, in picture pixels."""

    frame: CoordinateFrame
    width: float
    columns: Array
    crease: Array
    upper: Array
    lower: Array
    cheek: Array
    softness: float

    @classmethod
    def from_landmarks(cls, eye: EyeLandmarks, landmarks: Landmarks) -> "EyeContours":
        """Measure the eye."""
        frame = CoordinateFrame.from_endpoints(landmarks[eye.upper[0]], landmarks[eye.upper[-1]])
        ends = frame.to_local(landmarks[[eye.upper[0], eye.upper[-1]], :2])[:, 0]
        width = float(ends[1] - ends[0])
        columns = np.linspace(ends[0], ends[1], 33, dtype=np.float32)
        upper = _smooth_curve(interpolate_polyline(frame, landmarks[list(eye.upper), :2], columns))
        lower = _smooth_curve(interpolate_polyline(frame, landmarks[list(eye.lower), :2], columns))
        lower = as_float32(np.maximum(lower, upper))
        brow = interpolate_polyline(frame, landmarks[list(eye.brow), :2], columns)
        opening = float((lower - upper).max())
        # Skin is taken from the whole way up to the brow, so that it stretches rather than smears.
        crease = np.minimum(upper - 0.8 * opening, 0.35 * upper + 0.65 * brow)
        return cls(
            frame=frame,
            width=width,
            columns=columns,
            crease=as_float32(crease),
            upper=upper,
            lower=lower,
            cheek=as_float32(lower + max(0.6 * opening, 1.0)),
            softness=max(0.6, 0.012 * width),
        )

    @property
    def moving_corners(self) -> Array:
        """Corners of the region that moves, in the picture, [4, 2]."""
        beyond = _CORNER_OVERREACH * self.width + 1
        left, right = self.columns[0] - beyond, self.columns[-1] + beyond
        top, bottom = self.crease.min() - 1, self.cheek.max() + 1
        corners = as_float32([[left, top], [right, top], [right, bottom], [left, bottom]])
        return as_float32(self.frame.origin + self.frame.to_picture_vectors(corners))

    def curve_heights(self, u: Array) -> tuple[Array, ...]:
        """The heights of crease, upper lid, lower lid and cheek at each `u`."""
        index = (u - self.columns[0]) / (self.columns[1] - self.columns[0])
        rows = np.dstack([self.crease, self.upper, self.lower, self.cheek])
        found = remap_image(rows, as_float32(np.dstack([index, np.zeros_like(index)])), cv2.INTER_LINEAR)
        return tuple(as_float32(found[..., curve]) for curve in range(4))


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeLayers:
    """One eye laid out on the sheet that layers are cut from: all about its texels that no blink changes.

    Arrays are over a window of the sheet, [h, w]; `window` [2, 3] takes texels of the sheet to its own. `v` is the
    height in the eye's frame, in pixels, and so are the `curves` crease, upper lid, lower lid and cheek. `plain` is
    the sheet, `bare` the same without the eyeball: what lids are made of. `rest` [h, w, 3] tells how far a texel
    follows the gaze, whether skin moves there, and the share of eyeball when the eye is open.
    """

    contours: EyeContours
    texture: SupersampledTexture
    to_window: Array
    v: Array
    curves: tuple[Array, ...]
    corner_fade: Array
    open_eye: NDArray[np.uint8]
    lid_skin: NDArray[np.uint8]
    rest: Array

    @classmethod
    def from_contours(cls, eye: EyeContours, sheet: SupersampledTexture) -> "EyeLayers":
        """Lay the eye out."""
        low, high = (sheet.scale * edge(eye.moving_corners, 0) for edge in (np.min, np.max))
        x, y = np.floor(low).tolist()
        texels = as_float32(np.dstack(np.meshgrid(np.arange(x, high[0]), np.arange(y, high[1]))))
        local = eye.frame.to_local(as_float32(texels / sheet.scale))
        u, v = as_float32(local[..., 0]), as_float32(local[..., 1])
        curves, plain = eye.curve_heights(u), sheet.sample(texels)
        sides = np.minimum(u - eye.columns[0], eye.columns[-1] - u) / eye.width
        blank = cls(
            contours=eye,
            texture=sheet,
            to_window=as_float32([[1, 0, -x], [0, 1, -y]]),
            v=v,
            curves=curves,
            corner_fade=as_float32(np.clip(sides / 0.06, 0, 1)),
            open_eye=plain,
            lid_skin=_remove_eyeball(plain, v / eye.width, as_float32(curves) / eye.width, sides),
            rest=v,
        )
        # The iris slides; towards the corners the white stays where it is, as on a sphere seen from the front.
        hold = as_float32(np.clip(1 - (u / (0.5 * eye.width)) ** 2, 0, 1))
        skin = (v > curves[0]) & (v < curves[3]) & (sides > -_CORNER_OVERREACH)
        return replace(
            blank, rest=as_float32(cv2.merge([hold, as_float32(skin), blank.blink_maps(0.0)[..., 2]]))
        )

    def composite_eye(
        self, figure: NDArray[np.uint8], texels: Array, blink: float, gaze: tuple[float, float]
    ) -> None:
        """Shut the eye and turn its ball, in place: `figure` is what shows, `at` the texels it was taken from."""
        place = as_float32(cv2.transform(texels, self.to_window))
        hold, skin, share = _split_channels(
            remap_image(self.rest, place, cv2.INTER_LINEAR, transparent_outside=True)
        )
        reach = _GAZE_TO_EYE_WIDTH * self.contours.width
        ball = self.texture.sample(texels - self._to_texel_shift(hold, (reach * gaze[0], reach * gaze[1])))
        if blink <= 0:
            figure[:] = _blend_by_share(ball, figure, share)
            return
        moved = remap_image(self.blink_maps(blink), place, cv2.INTER_LINEAR, transparent_outside=True)
        above, below, share, lid = _split_channels(moved)
        lids = self._blend_lids(blink)
        upper, lower = (
            remap_image(lids, place + self._to_texel_shift(way, (0, 1)), cv2.INTER_LINEAR)
            for way in (above, below)
        )
        figure[:] = _blend_by_share(
            upper, _blend_by_share(ball, _blend_by_share(lower, figure, skin), share), lid * skin
        )

    def _blend_lids(self, blink: float) -> NDArray[np.uint8]:
        """What the lids are made of, over the window."""
        bare = min(1.0, blink / _BARE_LID_BLINK)
        return np.asarray(cv2.addWeighted(self.lid_skin, bare, self.open_eye, 1 - bare, 0), np.uint8)

    def blink_maps(self, blink: float) -> Array:
        """How far down skin above and skin below is taken from, the shares of eyeball and upper lid; [h, w, 4]."""
        crease, upper, lower, cheek = self.curves
        v, soft = self.v, self.contours.softness
        travel = np.clip(lower - upper, 0, None) * np.float32(blink)
        lid, floor = upper + travel * (1 - _LOWER_LID_SHARE), lower - travel * _LOWER_LID_SHARE
        above = (v - crease) * (upper - crease) / np.maximum(lid - crease, 0.5) + crease - v
        below = (v - cheek) * (cheek - lower) / np.maximum(cheek - floor, 0.5) + cheek - v
        ball = np.clip((v - lid) / soft, 0, 1) * np.clip((floor - v) / soft, 0, 1) * self.corner_fade
        share = np.clip((lid - v) / soft + 0.5, 0, 1)
        return as_float32(cv2.merge([as_float32(layer) for layer in (above, below, ball, share)]))

    def _to_texel_shift(self, amount: Array, direction: tuple[float, float]) -> Array:
        """`amount` [h, w] times a direction of the eye's frame in pixels, as texels [h, w, 2]."""
        x, y = (self.texture.scale * self.contours.frame.to_picture_vectors(as_float32(direction))).tolist()
        return as_float32(cv2.merge([amount * np.float32(x), amount * np.float32(y)]))


def _split_channels(layers: Array) -> list[Array]:
    return [as_float32(layer) for layer in cv2.split(layers)]


def _blend_by_share(top: NDArray[np.uint8], below: NDArray[np.uint8], share: Array) -> NDArray[np.uint8]:
    return np.asarray(cv2.blendLinear(top, below, share, 1 - share), np.uint8)


def _remove_eyeball(plain: NDArray[np.uint8], v: Array, curves: Array, sides: Array) -> NDArray[np.uint8]:
    """`plain` without eyeball: skin from around with a line of lashes, or what is darker in the picture, except for
    the white in an eye's corners.

    Lengths are in widths of the eye; `sides` is how far a texel is from the nearer corner.
    """
    _, upper, lower, _ = curves
    corner = np.clip(1 - sides / _CORNER_EXTENT, 0, 1)
    margin = _SKIN_MARGIN + (_CORNER_SKIN_MARGIN - _SKIN_MARGIN) * corner
    near = (v > upper - margin) & (v < lower + margin) & (sides > -_CORNER_OVERREACH)
    hidden = near | (plain[..., 3] < 255)
    skin = infill_colours(np.ascontiguousarray(plain[..., :3]), as_float32(~hidden))
    lash = _LASH_DARKNESS * np.exp(-(((v - upper) / _LASH_HEIGHT) ** 2)) * np.clip(sides / 0.2, 0, 1)
    colour = skin * (1 - lash[..., None])
    white = (corner * (v > upper))[..., None]
    colour = white * colour + (1 - white) * np.minimum(plain[..., :3], colour)
    return np.asarray(np.dstack([np.where(near[..., None], colour, plain[..., :3]), plain[..., 3]]), np.uint8)


def _smooth_curve(curve: Array) -> Array:
    padded = np.pad(curve, 3, mode="edge")
    kernel = as_float32([1, 3, 6, 7, 6, 3, 1])
    smooth = as_float32(np.convolve(padded, kernel / kernel.sum(), mode="valid"))
    smooth[[0, -1]] = curve[[0, -1]]
    return smooth

"""Blinks and gaze in closed form: a lid slides over the eyeball, the skin beyond it stretches.

A blink moves the lids' curves of `EyeContours` and stretches the skin between them and the curves at rest. Between the
lids lies the eyeball, which follows the gaze only.

Constants without a source were chosen by eye on the portraits listed in `docs/mesh.md`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image
from liveavatar.mesh.geometry.eye_contours import CORNER_OVERREACH, EyeContours
from liveavatar.mesh.render.infill import infill_colours
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture

_LOWER_LID_SHARE = 0.12
"""Share of the way to a closed eye that the lower lid goes (Evinger et al., Invest. Ophthalmol. Vis. Sci. 32, 1991)."""
_BARE_LID_BLINK = 0.3
"""Blink from which the lids are drawn without the edges of the open eye."""
_SKIN_MARGIN, _CORNER_SKIN_MARGIN, _CORNER_EXTENT = 0.025, 0.075, 0.3
"""Distance from the lids' edges beyond which there is only skin, in the middle and at the corners, and how far the
corners reach inwards; relative to the eye's width."""
_LASH_DARKNESS, _LASH_HEIGHT, _LASH_FADE = 0.4, 0.04, 0.2
"""Share of light that the line of lashes takes; its height, and the distance from the corners over which it begins,
relative to the eye's width."""
_CORNER_FADE = 0.06
"""Distance from the corners over which the eyeball fades in, relative to the eye's width."""
_GAZE_TO_EYE_WIDTH = 0.42
"""Radius of the eyeball over the visible width of the eye: the shift of the iris per radian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeLayers:
    """What no blink changes about the texels of one eye.

    Arrays are over a window of the texture, [h, w]; `to_window` [2, 3] maps texels to the window. `v` is the height in
    the eye's frame in pixels, as are the `curves` crease, upper lid, lower lid and cheek. `corner_fade` is 0 at the
    corners, 1 inside. `open_eye` is the texture, `lid_skin` the texture without eyeball, of which lids are made.
    `rest` [h, w, 3] holds how far a texel follows the gaze, whether its skin moves, and the share of eyeball while the
    eye is open.
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
    def from_contours(cls, eye: EyeContours, texture: SupersampledTexture) -> "EyeLayers":
        """Prepare one eye of a portrait."""
        low, high = (texture.scale * edge(eye.moving_corners, 0) for edge in (np.min, np.max))
        x, y = np.floor(low).tolist()
        texels = as_float32(np.dstack(np.meshgrid(np.arange(x, high[0]), np.arange(y, high[1]))))
        local = eye.frame.to_local(as_float32(texels / texture.scale))
        u, v = as_float32(local[..., 0]), as_float32(local[..., 1])
        curves, open_eye = eye.curve_heights(u), texture.sample(texels)
        from_corner = np.minimum(u - eye.columns[0], eye.columns[-1] - u) / eye.width
        corner_fade = as_float32(np.clip(from_corner / _CORNER_FADE, 0, 1))
        # As on a sphere seen from the front: the iris follows the gaze, the white at the corners does not.
        follow = as_float32(np.clip(1 - (u / (0.5 * eye.width)) ** 2, 0, 1))
        skin = (v > curves[0]) & (v < curves[3]) & (from_corner > -CORNER_OVERREACH)
        ball = _build_blink_maps(v, curves, corner_fade, eye.softness, blink=0.0)[..., 2]
        return cls(
            contours=eye,
            texture=texture,
            to_window=as_float32([[1, 0, -x], [0, 1, -y]]),
            v=v,
            curves=curves,
            corner_fade=corner_fade,
            open_eye=open_eye,
            lid_skin=_remove_eyeball(open_eye, v / eye.width, as_float32(curves) / eye.width, from_corner),
            rest=as_float32(cv2.merge([follow, as_float32(skin), ball])),
        )

    def composite_eye(
        self, figure: NDArray[np.uint8], texels: Array, blink: float, gaze: tuple[float, float]
    ) -> None:
        """Close the eye by `blink`, 0…1, and turn its ball by `gaze` in radians, in place.

        `figure` [h, w, 4] is the frame around the eye, `texels` [h, w, 2] the positions it was sampled at.
        """
        positions = as_float32(cv2.transform(texels, self.to_window))
        rest = remap_image(self.rest, positions, cv2.INTER_LINEAR, transparent_outside=True)
        follow, skin, share = _split_channels(rest)
        radius = _GAZE_TO_EYE_WIDTH * self.contours.width
        shift = self._to_texel_shift(follow, (radius * gaze[0], radius * gaze[1]))
        ball = self.texture.sample(texels - shift)
        if blink <= 0:
            figure[:] = _blend_by_share(ball, figure, share)
            return
        maps = remap_image(self.blink_maps(blink), positions, cv2.INTER_LINEAR, transparent_outside=True)
        above, below, share, lid = _split_channels(maps)
        lids = self._blend_lids(blink)
        upper, lower = (
            remap_image(lids, positions + self._to_texel_shift(way, (0, 1)), cv2.INTER_LINEAR)
            for way in (above, below)
        )
        with_lower = _blend_by_share(lower, figure, skin)
        with_ball = _blend_by_share(ball, with_lower, share)
        figure[:] = _blend_by_share(upper, with_ball, lid * skin)

    def _blend_lids(self, blink: float) -> NDArray[np.uint8]:
        """The texture of the lids over the window: from the open eye to skin alone."""
        bare = min(1.0, blink / _BARE_LID_BLINK)
        return np.asarray(cv2.addWeighted(self.lid_skin, bare, self.open_eye, 1 - bare, 0), np.uint8)

    def blink_maps(self, blink: float) -> Array:
        """Displacements and opacities of a blink over the window, [h, w, 4].

        How far down the skin above and the skin below the eye is sampled, in pixels; the share of eyeball; the share of
        upper lid.
        """
        return _build_blink_maps(self.v, self.curves, self.corner_fade, self.contours.softness, blink)

    def _to_texel_shift(self, amount: Array, direction: tuple[float, float]) -> Array:
        """`amount` [h, w] times a direction in the eye's frame in pixels, as displacements in texels [h, w, 2]."""
        x, y = (self.texture.scale * self.contours.frame.to_picture_vectors(as_float32(direction))).tolist()
        return as_float32(cv2.merge([amount * np.float32(x), amount * np.float32(y)]))


def _build_blink_maps(
    v: Array, curves: tuple[Array, ...], corner_fade: Array, softness: float, blink: float
) -> Array:
    crease, upper, lower, cheek = curves
    travel = np.clip(lower - upper, 0, None) * np.float32(blink)
    lid, floor = upper + travel * (1 - _LOWER_LID_SHARE), lower - travel * _LOWER_LID_SHARE
    above = (v - crease) * (upper - crease) / np.maximum(lid - crease, 0.5) + crease - v
    below = (v - cheek) * (cheek - lower) / np.maximum(cheek - floor, 0.5) + cheek - v
    ball = np.clip((v - lid) / softness, 0, 1) * np.clip((floor - v) / softness, 0, 1) * corner_fade
    lid_share = np.clip((lid - v) / softness + 0.5, 0, 1)
    return as_float32(cv2.merge([as_float32(layer) for layer in (above, below, ball, lid_share)]))


def _split_channels(layers: Array) -> list[Array]:
    return [as_float32(layer) for layer in cv2.split(layers)]


def _blend_by_share(top: NDArray[np.uint8], below: NDArray[np.uint8], share: Array) -> NDArray[np.uint8]:
    return np.asarray(cv2.blendLinear(top, below, share, 1 - share), np.uint8)


def _remove_eyeball(
    open_eye: NDArray[np.uint8], v: Array, curves: Array, from_corner: Array
) -> NDArray[np.uint8]:
    """`open_eye` [h, w, 4] without eyeball: infilled skin with a line of lashes.

    What is darker than that in the picture stays, except in the corners. `v`, `curves` and the distance inwards
    `from_corner` are relative to the eye's width.
    """
    _, upper, lower, _ = curves
    rgb, alpha = open_eye[..., :3], open_eye[..., 3]
    corner = np.clip(1 - from_corner / _CORNER_EXTENT, 0, 1)
    margin = _SKIN_MARGIN + (_CORNER_SKIN_MARGIN - _SKIN_MARGIN) * corner
    near = (v > upper - margin) & (v < lower + margin) & (from_corner > -CORNER_OVERREACH)
    skin = infill_colours(np.ascontiguousarray(rgb), as_float32(~(near | (alpha < 255))))
    lash = (
        _LASH_DARKNESS
        * np.exp(-(((v - upper) / _LASH_HEIGHT) ** 2))
        * np.clip(from_corner / _LASH_FADE, 0, 1)
    )
    colour = skin * (1 - lash[..., None])
    white = (corner * (v > upper))[..., None]
    colour = white * colour + (1 - white) * np.minimum(rgb, colour)
    return np.asarray(np.dstack([np.where(near[..., None], colour, rgb), alpha]), np.uint8)

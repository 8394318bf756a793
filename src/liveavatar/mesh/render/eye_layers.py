"""One eye of a portrait: its ball follows the gaze, its lids close over it."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image
from liveavatar.mesh.geometry.boxes import PixelBox, clip_box, slice_box
from liveavatar.mesh.geometry.eye_contours import EyeContours
from liveavatar.mesh.render.closed_lids import draw_lid_levels, lid_level
from liveavatar.mesh.render.eye_window import EyeWindow
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture

_CORNER_FADE = 0.06
"""Distance from the corners over which the eyeball fades in, relative to the eye's width."""
_MAX_LID_TEXELS = 160
"""Largest width of an eye in the pictures of its lids: in large faces they are coarser than the portrait."""
_SEARCH_STEP, _SEARCH_MARGIN = 0.25, 1.25
"""Distance of the positions among which an eye is looked for in a frame, relative to its width; and how much further
apart a face may stretch them."""
_GAZE_TO_EYE_WIDTH = 0.42
"""Radius of the eyeball over the visible width of the eye: the shift of the iris per radian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeLayers:
    """The layers of one eye over its `window`, and those of its lids over `lid_window`, which may be coarser.

    `ball` is how far each texel follows the gaze, and the share of eyeball while the eye is open, [h, w]; None if it
    must not move. `lids` are the pictures of `draw_lid_levels`.
    """

    window: EyeWindow
    lid_window: EyeWindow
    texture: SupersampledTexture
    ball: tuple[Array, Array] | None
    lids: NDArray[np.uint8]

    @classmethod
    def from_contours(
        cls, eye: EyeContours, texture: SupersampledTexture, *, moves: bool = True
    ) -> "EyeLayers":
        """Prepare one eye of a portrait; `moves` says whether its ball follows the gaze."""
        window = EyeWindow.from_texture(eye, texture)
        step = math.ceil(window.texels / _MAX_LID_TEXELS)
        lid_window = window if step == 1 else EyeWindow.from_texture(eye, texture, step)
        return cls(
            window=window,
            lid_window=lid_window,
            texture=texture,
            ball=_build_ball_maps(window) if moves else None,
            lids=draw_lid_levels(lid_window),
        )

    def composite_eye(
        self, figure: NDArray[np.uint8], texels: Array, blink: float, gaze: tuple[float, float]
    ) -> None:
        """Close the eye by `blink`, 0…1, and turn its ball by `gaze` in radians, in place.

        `figure` [h, w, 4] is the frame, or a part of it, `texels` [h, w, 2] the positions it was sampled at.
        """
        level = lid_level(blink)
        turns = self.ball is not None and gaze != (0.0, 0.0)
        box = self._find_box(texels) if level > 0 or turns else None
        if box is None:
            return
        figure, texels = slice_box(figure, box), slice_box(texels, box)
        positions = self.window.locate_texels(texels)
        if self.ball is not None and turns:
            self._composite_ball(self.ball, figure, texels, positions, gaze)
        if level > 0:
            at = positions if self.lid_window is self.window else self.lid_window.locate_texels(texels)
            lids = remap_image(self.lids[level - 1], at, cv2.INTER_LINEAR, transparent_outside=True)
            share = as_float32(cv2.extractChannel(lids, 3)) / np.float32(255)
            lids[..., 3] = 255
            figure[:] = _blend_by_share(lids, figure, share)

    def _find_box(self, texels: Array) -> PixelBox | None:
        """The part of `texels` that can show the window, wherever the head has moved it; None if there is none."""
        step = max(1, int(_SEARCH_STEP * self.window.contours.width))
        margin = _SEARCH_MARGIN * step * self.texture.scale
        left, top = (-self.window.to_window[:, 2]).tolist()
        height, width = self.window.v.shape
        low, high = (left - margin, top - margin), (left + width + margin, top + height + margin)
        seen = cv2.inRange(np.ascontiguousarray(texels[::step, ::step]), low, high)
        x, y, columns, rows = (step * edge for edge in cv2.boundingRect(seen))
        if columns == 0:
            return None
        return clip_box((x, y, x + columns, y + rows), (texels.shape[1], texels.shape[0]))

    def _composite_ball(
        self,
        ball: tuple[Array, Array],
        figure: NDArray[np.uint8],
        texels: Array,
        positions: Array,
        gaze: tuple[float, float],
    ) -> None:
        follow, share = (
            remap_image(layer, positions, cv2.INTER_LINEAR, transparent_outside=True) for layer in ball
        )
        radius = _GAZE_TO_EYE_WIDTH * self.window.contours.width
        shift = self.window.to_texel_shift(follow, (radius * gaze[0], radius * gaze[1]))
        figure[:] = _blend_by_share(self.texture.sample(texels - shift), figure, share)


def _build_ball_maps(window: EyeWindow) -> tuple[Array, Array]:
    eye, (u, v) = window.contours, cv2.split(window.pixels)
    _, upper, lower, _ = eye.curve_heights(as_float32(u))
    # As on a sphere seen from the front: the iris follows the gaze, the white at the corners does not.
    follow = np.clip(1 - (u / (0.5 * eye.width)) ** 2, 0, 1)
    share = np.clip((v - upper) / eye.softness, 0, 1) * np.clip((lower - v) / eye.softness, 0, 1)
    share = share * np.clip(window.from_corner / _CORNER_FADE, 0, 1)
    return as_float32(follow), as_float32(share)


def _blend_by_share(top: NDArray[np.uint8], below: NDArray[np.uint8], share: Array) -> NDArray[np.uint8]:
    return np.asarray(cv2.blendLinear(top, below, share, 1 - share), np.uint8)

"""The texels around one eye: where they are in the eye's frame, and what the portrait shows there."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.geometry.arrays import Array, as_float32, remap_image
from liveavatar.mesh.geometry.eye_contours import EyeContours
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture

LUMA = as_float32([0.2126, 0.7152, 0.0722])
"""Share of red, green and blue in luma (ITU-R BT.709)."""
_PUPIL_LUMA = 0.5
"""Luma below which something between the lids is an iris or a pupil, relative to the skin around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeWindow:
    """A window of the texture around an eye, [h, w]; `to_window` [2, 3] maps texels of the texture into it.

    There are `scale` texels of the window in a pixel of the portrait.

    `rgba` [h, w, 4] is the texture there, premultiplied; `pixels` [h, w, 2] are positions (u, v) in the eye's frame.
    Relative to the eye's width are `v` and the `curves` crease, upper lid, lower lid and cheek, all heights, and
    `from_corner`, the distance inwards from the nearer corner, negative outside.
    """

    contours: EyeContours
    scale: float
    to_window: Array
    rgba: NDArray[np.uint8]
    pixels: Array
    v: Array
    curves: tuple[Array, ...]
    from_corner: Array

    @classmethod
    def from_texture(cls, eye: EyeContours, texture: SupersampledTexture, step: int = 1) -> "EyeWindow":
        """The window of an eye of a portrait, with every `step`-th texel of the texture."""
        low, high = (texture.scale * edge(eye.moving_corners, 0) for edge in (np.min, np.max))
        x, y = (step * np.floor(low / step)).tolist()
        texels = as_float32(np.dstack(np.meshgrid(np.arange(x, high[0], step), np.arange(y, high[1], step))))
        local = eye.frame.to_local(as_float32(texels / texture.scale))
        u, width = as_float32(local[..., 0]), np.float32(eye.width)
        return cls(
            contours=eye,
            scale=texture.scale / step,
            to_window=as_float32([[1 / step, 0, -x / step], [0, 1 / step, -y / step]]),
            rgba=texture.sample(texels),
            pixels=local,
            v=local[..., 1] / width,
            curves=tuple(curve / width for curve in eye.curve_heights(u)),
            from_corner=as_float32(np.minimum(u - eye.columns[0], eye.columns[-1] - u) / width),
        )

    @property
    def u(self) -> Array:
        """Position along the eye's axis, from -0.5 to 0.5 between the corners, relative to its width."""
        return self.pixels[..., 0] / np.float32(self.contours.width)

    @property
    def texels(self) -> float:
        """Width of the eye in texels."""
        return self.scale * self.contours.width

    def measure_dark_share(self) -> float:
        """Share of the eye's opening that is much darker than the skin around: iris and pupil."""
        crease, upper, lower, cheek = self.curves
        opening = (self.v > upper) & (self.v < lower) & (self.from_corner > 0)
        around = ((self.v < upper - 0.1) & (self.v > crease)) | ((self.v > lower + 0.1) & (self.v < cheek))
        if not opening.any() or not around.any():
            return 0.0
        luma = as_float32(self.rgba[..., :3]) @ LUMA
        return float((luma[opening] < _PUPIL_LUMA * np.median(luma[around])).mean())

    def locate_texels(self, texels: Array) -> Array:
        """Positions [h, w, 2] in the texture as positions in this window."""
        return as_float32(cv2.transform(texels, self.to_window))

    def to_texel_shift(self, amount: Array, direction: tuple[float, float]) -> Array:
        """`amount` [h, w] times a direction in the eye's frame in pixels, as displacements in texels [h, w, 2]."""
        x, y = (self.scale * self.contours.frame.to_picture_vectors(as_float32(direction))).tolist()
        return as_float32(cv2.merge([amount * np.float32(x), amount * np.float32(y)]))

    def sample_below(self, image: Array, down: Array) -> Array:
        """`image` [h, w, c] of this window, sampled `down` [h, w] further down; relative to the eye's width."""
        height, width = down.shape
        here = as_float32(np.dstack(np.meshgrid(np.arange(width), np.arange(height))))
        shift = self.to_texel_shift(as_float32(down), (0.0, self.contours.width))
        return remap_image(image, here + shift, cv2.INTER_LINEAR)

    def blur_image(self, image: Array, radius: float) -> Array:
        """`image` [h, w] or [h, w, c] smoothed by a Gaussian; its standard deviation is relative to the eye's width."""
        return as_float32(cv2.GaussianBlur(image, (0, 0), max(radius * self.texels, 0.3)))

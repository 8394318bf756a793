"""The person alone: frames over another background, or over none."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.boxes import slice_box
from liveavatar.mesh.render.face_renderer import FaceRenderer, FrameExpression, blend_premultiplied

_SPREAD = 15
"""Side in pixels of the window from which nearly transparent pixels take their colour."""
_OWN_COLOUR_OPACITY = 64.0
"""Opacity, 0…255, from which a pixel keeps its own colour: less leaves too few grey levels of it."""


def extract_still_person(renderer: FaceRenderer) -> NDArray[np.uint8]:
    """The person outside of the renderer's `moving_box`, where nothing moves: premultiplied RGBA of the frame."""
    scale = renderer.texture.scale
    layer = np.ascontiguousarray(renderer.texture.rgba[::scale, ::scale])
    slice_box(layer, renderer.moving_box)[:] = 0
    return layer


def build_static_picture(renderer: FaceRenderer, background: Picture) -> Picture:
    """What stays still before another background, RGB: the renderer's `static_picture` for it."""
    picture = background.copy()
    blend_premultiplied(picture, extract_still_person(renderer))
    return picture


def render_person(
    renderer: FaceRenderer, still_person: NDArray[np.uint8], expression: FrameExpression
) -> tuple[Picture, NDArray[np.uint8]]:
    """The person of one frame: RGB [height, width, 3], not premultiplied, and opacity [height, width], 0…255."""
    layer = still_person.copy()
    slice_box(layer, renderer.moving_box)[:] = renderer.render_figure(expression)
    return divide_by_opacity(layer)


def divide_by_opacity(layer: NDArray[np.uint8]) -> tuple[Picture, NDArray[np.uint8]]:
    """Colour and opacity of premultiplied RGBA.

    Pixels that show little or nothing of the person take the colour of the person beside them, so that neither a
    codec nor a filter pulls another colour over the edge.
    """
    opacity = np.ascontiguousarray(layer[..., 3])
    rgb = np.ascontiguousarray(layer[..., :3])
    spread = cv2.blur(layer.astype(np.float32), (_SPREAD, _SPREAD))
    share = opacity.astype(np.float32)[..., None]
    own = 255 * rgb.astype(np.float32) / np.maximum(share, 1)
    beside = 255 * spread[..., :3] / np.maximum(spread[..., 3:], 1)
    weight = np.clip(share / _OWN_COLOUR_OPACITY, 0, 1)
    colour = np.clip(np.rint(weight * own + (1 - weight) * beside), 0, 255)
    return np.where(share == 255, rgb, colour.astype(np.uint8)), opacity

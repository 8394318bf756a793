"""Put an imperceptible watermark into the frames of a video."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.provenance.watermark_pattern import (
    DEFAULT_KEY,
    FLAT_SLOPE,
    TEXTURE_SLOPE,
    WatermarkKey,
    draw_pattern,
)

_FLAT_STRENGTH = 1.1
_TEXTURE_STRENGTH = 2.4
"""Root mean square of the mark in grey levels, on flat ground of middle brightness and in texture. The larger one keeps
the peak signal-to-noise ratio over 40 dB in any picture."""
_FULL_TEXTURE = 4.0
"""Mean deviation in grey levels of details from which on the ground counts as texture."""
_DARK = 60.0
"""Grey level below which the mark becomes weaker, as the eye sees steps between dark greys better."""
_MIN_DARK_STRENGTH = 0.7
_TEXTURE_SCALE = 1 / 100
"""Standard deviation, relative to the shorter side, of the window in which texture is measured: a wave of the mark."""
_EDGE_SCALE = 1 / 20
"""Side, relative to the shorter side, of the window in which the least texture counts: an outline hides nothing."""


class WatermarkEmbedder:
    """Adds the mark of `key` to frames of `size` (width, height).

    The first frame decides how strong the mark is at each place. After that, the same small steps are added to every
    frame, so nothing flickers. One embedder serves one video.
    """

    def __init__(self, size: tuple[int, int], key: WatermarkKey = DEFAULT_KEY) -> None:
        self._size, self._key = size, key
        self._steps: tuple[Picture, Picture] | None = None

    def embed(self, rgb: Picture) -> Picture:
        """A marked copy of a frame, uint8 [height, width, 3]."""
        if self._steps is None:
            self._steps = self._plan_steps(rgb)
        steps_up, steps_down = self._steps
        marked = cv2.add(rgb, steps_up)
        return np.asarray(cv2.subtract(marked, steps_down, dst=marked), np.uint8)

    def _plan_steps(self, rgb: Picture) -> tuple[Picture, Picture]:
        """What to add and what to subtract, uint8 [height, width, 3]."""
        on_flat, in_texture = measure_strengths(rgb)
        steps = on_flat * draw_pattern(self._size, self._key, FLAT_SLOPE)
        steps = np.rint(steps + in_texture * draw_pattern(self._size, self._key, TEXTURE_SLOPE))
        signed = np.repeat(steps[..., None], 3, axis=2)
        return np.maximum(signed, 0).astype(np.uint8), np.maximum(-signed, 0).astype(np.uint8)


def measure_strengths(rgb: Picture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Grey levels [height, width] for the waves on flat ground (mostly long) and in texture (mostly short)."""
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    unit = min(luma.shape)
    sigma, edge = _TEXTURE_SCALE * unit, np.ones((round(_EDGE_SCALE * unit) | 1,) * 2, np.uint8)
    mean = cv2.GaussianBlur(luma, (0, 0), sigma)
    texture = cv2.GaussianBlur(np.abs(luma - mean), (0, 0), sigma)
    texture = cv2.GaussianBlur(cv2.erode(texture, edge), (0, 0), 2 * sigma)
    dimming = _MIN_DARK_STRENGTH + (1 - _MIN_DARK_STRENGTH) * np.minimum(mean / _DARK, 1)
    share = np.minimum(texture / _FULL_TEXTURE, 1)
    on_flat, in_texture = _FLAT_STRENGTH * dimming * (1 - share), _TEXTURE_STRENGTH * dimming * share
    return np.asarray(on_flat, np.float32), np.asarray(in_texture, np.float32)

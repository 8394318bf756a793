"""Put an imperceptible watermark into the frames of a video."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.provenance.watermark_pattern import DEFAULT_KEY, WatermarkKey, draw_pattern

_FLAT_STRENGTH = 1.0
"""Root mean square of the mark in grey levels, on flat ground of middle brightness."""
_MASKING = 0.12
"""Grey levels of the mark that a grey level of texture hides."""
_MAX_STRENGTH = 2.2
_DARK = 60.0
"""Grey level below which the mark becomes weaker, as the eye sees steps between dark greys better."""
_MIN_DARK_STRENGTH = 0.6
_TEXTURE_SCALE = 1 / 40
"""Standard deviation, relative to the shorter side, of the window in which texture is measured."""


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
        steps = np.rint(measure_strength(rgb) * draw_pattern(self._size, self._key))
        signed = np.repeat(steps[..., None], 3, axis=2)
        return np.maximum(signed, 0).astype(np.uint8), np.maximum(-signed, 0).astype(np.uint8)


def measure_strength(rgb: Picture) -> NDArray[np.float32]:
    """Grey levels [height, width] of the mark that the eye does not notice in a picture."""
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sigma = _TEXTURE_SCALE * min(luma.shape)
    mean = cv2.GaussianBlur(luma, (0, 0), sigma)
    texture = cv2.GaussianBlur(np.abs(luma - mean), (0, 0), sigma)
    strength = np.minimum(_FLAT_STRENGTH + _MASKING * texture, _MAX_STRENGTH)
    darkness = np.minimum(mean / _DARK, 1)
    return np.asarray(strength * (_MIN_DARK_STRENGTH + (1 - _MIN_DARK_STRENGTH) * darkness), np.float32)

"""The square around the face that the small model draws, and its way back into the frame.

The drawn square is enlarged and laid over the still portrait. Where a drawn pixel is that of the face at rest, the
portrait keeps its own detail, which the square does not have; where it moved, the drawn one stands. Towards the edge of
the square, and by the matte towards the background, it fades into the portrait.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import PortraitError
from liveavatar.face.landmarks import Landmarks
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture

FACE_SHARE = 1.55
"""Side of the square over the height of the face, hairline to chin."""

_FADE_SHARE = 0.1
"""Width of the fading edge over the side of the square."""

_MATTE_REACH = 0.03
"""How far beyond the matte the drawn face reaches, over the side: a moving cheek must not be cut by its old outline."""

_MOVED_LEVELS = 6.0, 20.0
"""Change of a drawn pixel, in levels, up to which the portrait's detail is kept, and from which it is dropped."""

LEAST_FAMILIARITY = 26.0
"""PSNR of a face after the autoencoder, in decibels. The picture it was fitted to has 53, in other sizes 31; other
faces have 13 or less. Between lie very small, bright or damaged copies, which would be drawn with visible patches."""


@dataclass(frozen=True, slots=True)
class FaceWindow:
    """A square in a picture, in pixels from its top left corner; it may reach beyond the picture."""

    left: float
    top: float
    side: float


def choose_face_window(landmarks: Landmarks) -> FaceWindow:
    """The square of whole pixels around the middle of the face."""
    left, top, right, bottom = _find_face_box(landmarks)
    side = round(FACE_SHARE * (bottom - top))
    return FaceWindow(round((left + right - side) / 2), round((top + bottom - side) / 2), side)


def cut_face(rgb: Picture, window: FaceWindow, pixels: int) -> Picture:
    """The square, scaled to `pixels` x `pixels`; beyond the picture its edge is repeated."""
    height, width = rgb.shape[:2]
    steps = np.arange(round(window.side))
    rows = np.clip(round(window.top) + steps, 0, height - 1)
    columns = np.clip(round(window.left) + steps, 0, width - 1)
    interpolation = cv2.INTER_AREA if pixels < len(steps) else cv2.INTER_CUBIC
    return np.asarray(
        cv2.resize(rgb[rows[:, None], columns], (pixels, pixels), interpolation=interpolation), np.uint8
    )


def move_window(window: FaceWindow, before: Landmarks, after: Landmarks) -> FaceWindow:
    """The same square in a picture that was scaled and cropped, by the landmarks in both."""
    old, new = _find_face_box(before), _find_face_box(after)
    scale = (new[3] - new[1]) / (old[3] - old[1])
    # landmarks count from the centres of pixels, windows from their corners
    left, top = (
        new[axis] + 0.5 + (edge - old[axis] - 0.5) * scale
        for axis, edge in ((0, window.left), (1, window.top))
    )
    return FaceWindow(left, top, window.side * scale)


def _find_face_box(landmarks: Landmarks) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the face."""
    face = landmarks[:468, :2]
    (left, top), (right, bottom) = face.min(0).tolist(), face.max(0).tolist()
    return left, top, right, bottom


def check_known_face(face: Picture, resting_face: Picture) -> None:
    """Check that the autoencoder, whose output is `resting_face`, can draw a face.

    Raises:
        PortraitError: it has learned another one.
    """
    error = np.square(face.astype(np.float32) - resting_face).mean()
    if 10 * np.log10(255**2 / max(float(error), 1e-9)) < LEAST_FAMILIARITY:
        raise PortraitError(
            "the small diffusion model draws one face only, that of the demo's portrait",
            "use that portrait, --engine mesh, or train a model of this face (training/dit)",
        )


class FacePaster:
    """Lays drawn squares over one still frame."""

    def __init__(self, still: Portrait, window: FaceWindow, resting_face: Picture) -> None:
        """`still` fills the frame; `resting_face` is the square as the model draws it at rest."""
        self._still = still.rgb
        height, width = still.rgb.shape[:2]
        left, top = (max(0, int(edge)) for edge in (window.left, window.top))
        right, bottom = (
            min(end, int(np.ceil(edge + window.side)))
            for end, edge in ((width, window.left), (height, window.top))
        )
        self._part = slice(top, bottom), slice(left, right)
        scale = window.side / len(resting_face)
        shift = (window.left - left + scale / 2 - 0.5, window.top - top + scale / 2 - 0.5)
        self._matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
        self._resting_face = resting_face.astype(np.float32)
        self._part_still = still.rgb[self._part].astype(np.float32)
        self._detail = self._part_still - self._enlarge(self._resting_face)
        self._opacity = self._measure_opacity(still.matte, window)

    def paste_face(self, face: Picture) -> Picture:
        """The frame with a drawn square in it."""
        drawn = face.astype(np.float32)
        change = cv2.GaussianBlur(np.abs(drawn - self._resting_face).max(axis=2), (0, 0), 1.0)
        layers = self._enlarge(np.dstack([drawn, _fade_between(change, *_MOVED_LEVELS)]))
        laid = layers[..., :3] + self._detail * layers[..., 3:]
        mixed = self._part_still + self._opacity * (laid - self._part_still)
        frame = self._still.copy()
        frame[self._part] = np.rint(mixed).clip(0, 255).astype(np.uint8)
        return frame

    def _enlarge(self, layers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Layers of the square in the place where they belong, [height, width, n]."""
        height, width = (part.stop - part.start for part in self._part)
        return np.asarray(
            cv2.warpAffine(
                layers, self._matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            ),
            np.float32,
        )

    def _measure_opacity(self, matte: NDArray[np.uint8], window: FaceWindow) -> NDArray[np.float32]:
        """How much of the drawn square is seen, [height, width, 1]."""
        rows, columns = (np.arange(part.start, part.stop) + 0.5 for part in self._part)
        fade = _FADE_SHARE * window.side
        edges = [
            np.minimum(places - start, start + window.side - places) / fade
            for places, start in ((rows, window.top), (columns, window.left))
        ]
        square = np.minimum(edges[0][:, None], edges[1][None]).clip(0, 1)
        reach = 2 * round(_MATTE_REACH * window.side) + 1
        person = cv2.dilate(matte[self._part], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        soft = cv2.GaussianBlur(person, (0, 0), reach / 4).astype(np.float32) / 255
        opacity: NDArray[np.float32] = (square * soft)[..., None].astype(np.float32)
        return opacity


def _fade_between(values: NDArray[np.float32], full: float, none: float) -> NDArray[np.float32]:
    """1 up to `full`, 0 from `none` on, and a smooth step between."""
    share = np.clip((values - full) / (none - full), 0, 1)
    return np.asarray(1 - share * share * (3 - 2 * share), np.float32)

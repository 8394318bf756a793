"""Things before a face, drawn over a portrait: fingers, a hand, a microphone, a mask, dark and mirroring glasses.

Lengths are in interocular units, the distance of the outer eye corners. For trying what a check says about them.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Landmarks = NDArray[np.float32]
Cover = Callable[[Picture, Landmarks], Picture]

_EYES = ((33, 133), (362, 263))
_CHEEKS = (50, 280, 205, 425, 101, 330)
_JAW = (
    234,
    93,
    132,
    58,
    172,
    136,
    150,
    149,
    176,
    148,
    152,
    377,
    400,
    378,
    379,
    365,
    397,
    288,
    361,
    323,
    454,
    195,
)
_SUBPIXEL_BITS = 3
_GRAIN = 3.0
"""Standard deviation of the noise of what is drawn, grey levels."""


def cover_lower_lip(rgb: Picture, landmarks: Landmarks) -> Picture:
    """A finger that lies along the lower lip."""
    lip = landmarks[[14, 17], :2].mean(0)
    return _draw_finger(rgb, landmarks, lip, ((-0.35, 0.02), (1.3, 0.3)), 0.22)


def touch_lower_lip(rgb: Picture, landmarks: Landmarks) -> Picture:
    """The tip of a finger that points up at the lower lip."""
    return _draw_finger(rgb, landmarks, landmarks[14, :2], ((0.02, 0.09), (0.15, 1.4)), 0.2)


def hush_lips(rgb: Picture, landmarks: Landmarks) -> Picture:
    """A finger upright before both lips."""
    mouth = landmarks[[13, 14], :2].mean(0)
    return _draw_finger(rgb, landmarks, mouth, ((0, -0.2), (0.1, 1.4)), 0.2)


def cover_half_mouth(rgb: Picture, landmarks: Landmarks) -> Picture:
    """Three fingers before the right half of the mouth."""
    mouth = landmarks[[13, 14], :2].mean(0)
    for row in (-0.2, -0.03, 0.14):
        rgb = _draw_finger(rgb, landmarks, mouth, ((0.12, row), (1.3, row + 0.2)), 0.19)
    return rgb


def hold_microphone(rgb: Picture, landmarks: Landmarks) -> Picture:
    """A grey microphone before the lower lip and the chin."""
    lip, unit = landmarks[17, :2], _unit(landmarks)
    grain = np.random.default_rng(0).uniform(45, 100, (*rgb.shape[:2], 1))
    stick = _draw_line(rgb.shape, lip + unit * np.array([(0, 0), (0.2, 1.6)]), 0.2 * unit)
    covered = _blend(rgb, np.full_like(rgb, 32), stick)
    return _blend(covered, np.repeat(grain, 3, 2), _draw_ellipse(rgb.shape, lip, (0.28 * unit, 0.28 * unit)))


def wear_mask(rgb: Picture, landmarks: Landmarks) -> Picture:
    """A pale blue mask from the nose to the chin."""
    mask = np.zeros(rgb.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.rint(landmarks[list(_JAW), :2]).astype(np.int32)], 1.0, cv2.LINE_AA)
    folds = 12 * np.sin(np.arange(len(rgb)) / (0.06 * _unit(landmarks)))
    return _blend(rgb, np.array([150, 190, 215]) + folds[:, None, None] + np.zeros(rgb.shape), mask)


def wear_dark_glasses(rgb: Picture, landmarks: Landmarks) -> Picture:
    """Round dark glasses."""
    return _draw_glasses(rgb, landmarks, lambda height: np.full((*height.shape, 3), 20.0))


def wear_mirror_glasses(rgb: Picture, landmarks: Landmarks) -> Picture:
    """Glasses that mirror a sky and a horizon."""

    def reflect(height: NDArray[np.float64]) -> NDArray[np.float64]:
        sky = np.clip(1 - height, 0, 1)[..., None] * (150.0, 170.0, 200.0) + 25
        return np.asarray(sky + 80.0 * (np.abs(height - 0.5) < 0.06)[..., None])

    return _draw_glasses(rgb, landmarks, reflect)


COVERS: dict[str, Cover] = {
    "finger along the lower lip": cover_lower_lip,
    "finger at the lower lip": touch_lower_lip,
    "finger before both lips": hush_lips,
    "hand before half of the mouth": cover_half_mouth,
    "microphone": hold_microphone,
    "mask": wear_mask,
    "dark glasses": wear_dark_glasses,
    "mirroring glasses": wear_mirror_glasses,
}
"""All of them, by what they draw: RGB [h, w, 3] and landmarks [478, 3] to RGB."""


def _unit(landmarks: Landmarks) -> float:
    return float(np.linalg.norm(landmarks[33, :2] - landmarks[263, :2]))


def _draw_finger(
    rgb: Picture,
    landmarks: Landmarks,
    place: NDArray[np.float32],
    ends: Sequence[Sequence[float]],
    width: float,
) -> Picture:
    """A stick of the cheeks' colour, darker at its sides; `ends` are relative to the point `place`."""
    x, y = np.clip(
        np.rint(landmarks[list(_CHEEKS), :2]).astype(int), 0, (rgb.shape[1] - 1, rgb.shape[0] - 1)
    ).T
    unit = _unit(landmarks)
    mask = _draw_line(rgb.shape, place + unit * np.array(ends), width * unit)
    depth = cv2.distanceTransform(np.asarray(mask > 0.5, np.uint8), cv2.DIST_L2, 5)
    shade = 0.62 + 0.38 * np.sqrt(depth / max(float(depth.max()), 1))
    grain = np.random.default_rng(0).normal(0, _GRAIN, rgb.shape)
    return _blend(rgb, np.median(rgb[y, x], 0) * shade[..., None] + grain, mask)


def _draw_glasses(
    rgb: Picture, landmarks: Landmarks, colour: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Picture:
    """Two lenses; `colour` maps heights within a lens, 0 at its top, to RGB."""
    unit = _unit(landmarks)
    for corners in _EYES:
        middle = landmarks[list(corners), :2].mean(0)
        rows = np.indices(rgb.shape[:2])[0]
        height = np.clip((rows - float(middle[1])) / (0.5 * unit) + 0.5, 0, 1)
        rgb = _blend(rgb, colour(height), _draw_ellipse(rgb.shape, middle, (0.33 * unit, 0.25 * unit)))
    return rgb


def _draw_line(shape: tuple[int, ...], ends: NDArray[np.float64], width: float) -> NDArray[np.float32]:
    mask = np.zeros(shape[:2], np.float32)
    first, last = (np.rint(end * 2**_SUBPIXEL_BITS).astype(int).tolist() for end in ends)
    cv2.line(mask, first, last, 1.0, max(1, round(width)), cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask


def _draw_ellipse(
    shape: tuple[int, ...], middle: NDArray[np.float32], axes: tuple[float, float]
) -> NDArray[np.float32]:
    mask = np.zeros(shape[:2], np.float32)
    centre, size = np.rint(middle).astype(int).tolist(), [round(axis) for axis in axes]
    cv2.ellipse(mask, centre, size, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    return mask


def _blend(rgb: Picture, colour: NDArray[np.floating] | Picture, mask: NDArray[np.float32]) -> Picture:
    """`colour` over `rgb` where `mask` is 1."""
    share = mask[..., None]
    return np.asarray(np.clip(rgb * (1 - share) + colour * share, 0, 255), np.uint8)

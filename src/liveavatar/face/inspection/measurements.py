"""Measure a portrait: detail, pose, openings of eyes and mouth, light, and margins."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.inspection.dark_glasses import has_dark_glasses
from liveavatar.face.inspection.mouth_profile import (
    MouthProfile,
    SkinBeforeLips,
    find_skin_before_lips,
    measure_lip_redness,
    measure_mouth_profile,
)
from liveavatar.face.landmarks import Landmarks
from liveavatar.face.networks import FloatArray
from liveavatar.face.portrait import Portrait
from liveavatar.face.pose import HeadAngles, estimate_head_angles

Mask = NDArray[np.bool_]

_OVAL_OUTLINE = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
         152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
_LIPS_OUTLINE = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_MOUTH_OUTLINE = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
_EYE_OUTLINES = ((33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
         (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398))  # fmt: skip
_MIDLINE_POINTS = (10, 168, 1, 152)  # hairline, between the eyes, tip of the nose, chin

_LandmarkPairs = tuple[tuple[int, int], ...]
_LID_PAIRS: tuple[_LandmarkPairs, _LandmarkPairs] = (
    ((159, 145), (158, 153), (160, 144)),
    ((386, 374), (385, 380), (387, 373)),
)
_EYE_CORNERS = ((33, 133), (362, 263))
_INNER_LIP_PAIRS: _LandmarkPairs = ((13, 14), (82, 87), (312, 317))
_MOUTH_CORNERS = (61, 291)

_MAX_BLUR_SIDE = 512
"""Pixels: larger faces are reduced before blur is measured, since they have detail enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceMargins:
    """Distances from the face to the picture's borders, over the face's height; negative where it is cut off."""

    above: float
    beside: float
    below: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitReport:
    """Measurements of the chosen face.

    `size` is in pixels, `trust` in logits (see `Portrait`), `faces` the number of faces found, `nearest_face` the
    distance of the nearest other one over the size of this one. `blur` is within 0…1, 0 is sharp. `eyes` and `mouth`
    are their openings over their widths; `mouth_profile` is what the mouth shows, `lip_redness` that of the upper and
    of the lower lip relative to the skin, `skin_before_lips` where they look like skin, both None without colours;
    `dark_glasses` says whether such glasses are before both eyes.
    Light is CIE L* (0…100): `highlight` and `shadow` are its 95th and 5th percentile over the face; `eye_contrast` and
    `lip_contrast` are the same range within an eye (the lower of both) and within the lips; `shade` is the lightness of
    the half on the right of the picture less that of the other; `burnt` is the share of pixels at full scale.
    """

    size: float
    trust: float
    faces: int
    nearest_face: float | None
    blur: float
    pose: HeadAngles
    eyes: tuple[float, float]
    mouth: float
    mouth_profile: MouthProfile
    lip_redness: tuple[float, float] | None
    skin_before_lips: SkinBeforeLips | None
    dark_glasses: bool
    highlight: float
    shadow: float
    shade: float
    burnt: float
    eye_contrast: float
    lip_contrast: float
    room: FaceMargins

    @property
    def contrast(self) -> float:
        """Range of L* over the face."""
        return self.highlight - self.shadow


def measure_portrait(portrait: Portrait) -> PortraitReport:
    """Measure the chosen face of `portrait`."""
    points, face = portrait.landmarks, _FaceCrop(portrait)
    shadow, highlight = face.measure_lightness_range(face.oval)
    return PortraitReport(
        size=float(np.ptp(points[:, :2], axis=0).max()),
        trust=portrait.trust,
        faces=portrait.face_count,
        nearest_face=portrait.nearest_face,
        blur=_measure_blur(face.lightness),
        pose=estimate_head_angles(points),
        eyes=(
            _measure_opening(points, _LID_PAIRS[0], _EYE_CORNERS[0]),
            _measure_opening(points, _LID_PAIRS[1], _EYE_CORNERS[1]),
        ),
        mouth=_measure_opening(points, _INNER_LIP_PAIRS, _MOUTH_CORNERS),
        mouth_profile=measure_mouth_profile(portrait.rgb, points),
        lip_redness=measure_lip_redness(portrait.rgb, points),
        skin_before_lips=find_skin_before_lips(portrait.rgb, points),
        dark_glasses=has_dark_glasses(portrait.rgb, points),
        highlight=highlight,
        shadow=shadow,
        shade=face.measure_shade(),
        burnt=face.measure_overexposure(),
        eye_contrast=min(map(face.measure_contrast, face.eyes)),
        lip_contrast=face.measure_contrast(face.lips),
        room=_measure_margins(points, portrait.rgb.shape),
    )


class _FaceCrop:
    """The bounding box of the face in the picture, and masks of its regions."""

    def __init__(self, portrait: Portrait) -> None:
        height, width = portrait.rgb.shape[:2]
        flat = portrait.landmarks[:, :2]
        left, top = np.clip(np.floor(flat.min(axis=0)).astype(int), 0, (width - 2, height - 2))
        right, bottom = np.clip(
            np.ceil(flat.max(axis=0)).astype(int) + 1, (left + 2, top + 2), (width, height)
        )
        self._points: FloatArray = np.asarray(flat - (left, top), np.float32)
        self.rgb = portrait.rgb[top:bottom, left:right]
        lab = np.asarray(cv2.cvtColor(np.float32(1 / 255) * self.rgb, cv2.COLOR_RGB2Lab), np.float32)
        self.lightness = lab[..., 0]

    @cached_property
    def oval(self) -> Mask:
        """Mask of the face."""
        return self._fill_outline(_OVAL_OUTLINE)

    @cached_property
    def eyes(self) -> tuple[Mask, Mask]:
        """Masks of the visible eyes."""
        return self._fill_outline(_EYE_OUTLINES[0]), self._fill_outline(_EYE_OUTLINES[1])

    @cached_property
    def lips(self) -> Mask:
        """Mask of both lips, without the opening."""
        return self._fill_outline(_LIPS_OUTLINE) & ~self._fill_outline(_MOUTH_OUTLINE)

    def measure_lightness_range(self, region: Mask) -> tuple[float, float]:
        """5th and 95th percentile of L* in a region."""
        low, high = np.percentile(self.lightness[region], (5, 95)) if region.any() else (0, 0)
        return float(low), float(high)

    def measure_contrast(self, region: Mask) -> float:
        """Range of L* in a region, from the 5th to the 95th percentile."""
        low, high = self.measure_lightness_range(region)
        return high - low

    def measure_overexposure(self) -> float:
        """Share of the face's pixels with a colour of 250 or more."""
        burnt = self.oval & (self.rgb.max(axis=2) >= 250)
        return float(burnt.sum() / max(self.oval.sum(), 1))

    def measure_shade(self) -> float:
        """Median L* on the right of the face's midline, less that on its left."""
        line = self._points[list(_MIDLINE_POINTS)]
        line = line[np.argsort(line[:, 1])]
        rows, columns = np.indices(self.lightness.shape)
        is_right = columns > np.interp(rows, line[:, 1], line[:, 0])
        halves = (self.lightness[self.oval & is_right], self.lightness[self.oval & ~is_right])
        return float(np.median(halves[0]) - np.median(halves[1])) if all(map(len, halves)) else 0.0

    def _fill_outline(self, outline: tuple[int, ...]) -> Mask:
        mask = np.zeros(self.lightness.shape, np.uint8)
        cv2.fillPoly(mask, [np.round(self._points[list(outline)]).astype(np.int32)], 1)
        return mask > 0


def _measure_opening(points: Landmarks, pairs: _LandmarkPairs, corners: tuple[int, int]) -> float:
    """Mean distance of the pairs over the distance of the corners."""
    gaps = [np.linalg.norm(points[one] - points[other]) for one, other in pairs]
    return float(np.mean(gaps) / np.linalg.norm(points[corners[0]] - points[corners[1]]))


def _measure_blur(lightness: FloatArray) -> float:
    """Share of the steps between neighbours that remains after a further blur, in the worse direction: 0 is sharp.

    Crete, Dolmiere, Ladret, Nicolas, "The blur effect: perception and estimation with a new no-reference perceptual
    blur metric", 2007.
    """
    scale = _MAX_BLUR_SIDE / max(lightness.shape)
    if scale < 1:
        lightness = np.asarray(cv2.resize(lightness, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    remaining = []
    for axis, kernel in enumerate(((1, 9), (9, 1))):
        steps = np.abs(np.diff(lightness, axis=axis))
        blurred = np.abs(np.diff(np.asarray(cv2.blur(lightness, kernel)), axis=axis))
        remaining.append(float(np.minimum(steps, blurred).sum() / max(float(steps.sum()), 1e-9)))
    return max(remaining)


def _measure_margins(points: Landmarks, shape: tuple[int, ...]) -> FaceMargins:
    (left, top), (right, bottom) = points[:, :2].min(axis=0).tolist(), points[:, :2].max(axis=0).tolist()
    height = bottom - top
    return FaceMargins(
        above=top / height,
        beside=min(left, shape[1] - 1 - right) / height,
        below=(shape[0] - 1 - bottom) / height,
    )

"""What a mouth shows between its lips: nothing, dark, or teeth.

Landmarks of the inner lips are off by two or three pixels, as far as parted lips are apart. Whether a mouth is shut
is therefore read from colours too: the mouth is drawn level and of one width, and what lies between the middles of
both lips is compared with the lips and the skin. Constants without a source were chosen on the open mouths of
`tools.heads`, their shut counterparts, a filmed person's frames and eight portraits (`benchmarks/mesh/faces.py`
measures the result).
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.landmarks import Landmarks
from liveavatar.face.networks import FloatArray
from liveavatar.frames import Picture

MouthState = Literal["shut", "parted", "teeth"]
Mask = NDArray[np.bool_]

OUTER_UPPER_LIP = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
INNER_UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
OUTER_LOWER_LIP = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
"""Landmarks of the lips' edges, from the left of the picture to the right."""
_UPPER_FACE = (168, 6, 9, 151, 117, 346)
"""Skin that neither a mask nor a hand covers, as they may the cheeks: between and under the eyes, and the forehead."""
_MIN_SKIN_REDNESS = 0.06
"""Below, the picture has no colours to judge lips by."""
_CHEEKS = (50, 280, 205, 425, 101, 330)
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709

_MOUTH_PIXELS, _SIZE = 80, (120, 160)
"""Width of the mouth in the level picture, and width and height of that picture; the mouth is in its middle."""
_MIDDLE_PIXELS = 28
"""Half the width of what is judged: the corners of a mouth are always dark."""

_EDGE_PIXELS = 4
"""Pixels of the level mouth from the landmarks of the inner lips that may be opening."""

_DARK_SHARE = 0.62
"""Luma relative to the darker lip below which something is the inside of the mouth, or the line between the lips."""
_MAX_TOOTH_REDNESS = 0.62
"""Difference of red and green over luma, relative to the lips, up to which something is tooth."""
_MIN_TOOTH_LUMA_SHARE = 0.42  # of the skin
_LIP_LUMAS, _TOOTH_GAINS = (40.0, 75.0, 120.0), (2.0, 1.35, 0.9)
"""Luma of the lips, and least luma of teeth relative to it: glints on dark lips are as pale as teeth in light ones."""

_OPEN_AREA, _OPEN_GAP = 0.02, 0.15
_LEAST_GAP, _LEAST_AREA = 0.07, 0.012
"""Lips are parted by that mean height of dark and teeth, over the mouth's width; or by the landmarks' gap; or by less
of both: shut full lips reach a gap of 0.13, shut thin ones a dark line of 0.012."""
_TEETH_AREA, _TEETH_COLUMNS = 0.012, 0.25
"""Mean height of teeth over the mouth's width, and share of its columns, from which a mouth shows teeth."""
_SURE_COLUMNS, _LEAST_DARK = 0.5, 0.008
"""Teeth are in that share of columns, or have that mean height of dark around them: others are glints on the lips."""


_PARTS = 6
"""Parts of the mouth's width that are judged apart when something is looked for before the lips."""
_MAX_SKIN_REDNESS = 1.06
"""Redness relative to the skin up to which a part of a lip has the colour of skin: fingers 0.8 to 1.02."""
_MAX_EDGE_STEP, _MAX_BOTH_EDGE_STEP = 0.1, 0.15
"""Difference of that redness inside and outside a lip's edge up to which there is no edge: for the lower lip alone,
and for both. Pale lips have one, and so have lips in a beard."""
_EDGE_NEAR, _EDGE_FAR = 3, 9
"""What lies outside a lip: so many pixels of the level mouth from its edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkinBeforeLips:
    """Of the six parts of a mouth's width, those that have skin where the lower lip, and where both lips, should be."""

    lower: int
    both: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthProfile:
    """What the middle of a mouth shows, all relative to the mouth's width.

    `gap` is the distance of the inner lips' landmarks; `dark` and `teeth` are mean heights of what is dark and of
    what is tooth between the middles of the lips; `columns` is the share of columns with teeth, 0…1.
    """

    gap: float
    dark: float
    teeth: float
    columns: float

    @property
    def excess(self) -> float:
        """What is neither lip, beyond the dark line that shut lips have; 0 for a shut mouth."""
        return 0.0 if self.state == "shut" else self.dark + self.teeth + max(0.0, self.gap - _OPEN_GAP)

    @property
    def state(self) -> MouthState:
        """Whether the mouth is shut, parted without teeth to be seen, or shows teeth."""
        sure = self.columns > _SURE_COLUMNS or self.dark > _LEAST_DARK
        teeth = self.teeth if sure else 0.0
        area = self.dark + teeth
        is_open = area > _OPEN_AREA or self.gap > _OPEN_GAP or (self.gap > _LEAST_GAP and area > _LEAST_AREA)
        if not is_open:
            return "shut"
        return "teeth" if teeth > _TEETH_AREA and self.columns > _TEETH_COLUMNS else "parted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelMouth:
    """A mouth drawn level, its corners _MOUTH_PIXELS apart, and the curves of its lips.

    `rgb` float32 [h, w, 3], 0…255; the curves are heights of the lips' edges for each column, [w]; `columns` [w] marks
    those that are judged.
    """

    rgb: FloatArray
    outer_upper: FloatArray
    inner_upper: FloatArray
    inner_lower: FloatArray
    outer_lower: FloatArray
    columns: Mask

    @classmethod
    def from_picture(cls, rgb: Picture, landmarks: Landmarks) -> "LevelMouth":
        """Cut out the mouth of a face."""
        left, right = landmarks[[OUTER_UPPER_LIP[0], OUTER_UPPER_LIP[-1]], :2].astype(np.float64)
        width = max(float(np.linalg.norm(right - left)), 1.0)
        scale = _MOUTH_PIXELS / width
        cos, sin = (right - left) / width * scale
        turn = np.array([[cos, sin], [-sin, cos]])
        shift = np.array(_SIZE) / 2 - turn @ (left + right) / 2
        if scale < 1:
            rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.4 / scale), np.uint8)
        how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
        matrix = np.column_stack([turn, shift])
        level = cv2.warpAffine(rgb, matrix, _SIZE, flags=how, borderMode=cv2.BORDER_REPLICATE)
        points = landmarks[:, :2] @ turn.T + shift
        x = np.arange(_SIZE[0])
        curves = (
            np.interp(x, points[list(edge), 0], points[list(edge), 1]).astype(np.float32)
            for edge in (OUTER_UPPER_LIP, INNER_UPPER_LIP, INNER_LOWER_LIP, OUTER_LOWER_LIP)
        )
        names = ("outer_upper", "inner_upper", "inner_lower", "outer_lower")
        columns = np.abs(x - _SIZE[0] / 2) < _MIDDLE_PIXELS
        return cls(
            rgb=np.asarray(level, np.float32), **dict(zip(names, curves, strict=True)), columns=columns
        )

    def select_rows(self, top: FloatArray, bottom: FloatArray) -> Mask:
        """The pixels of the judged columns between two curves, at least three in each column, [h, w]."""
        rows = np.arange(self.rgb.shape[0])[:, None]
        middle, half = (top + bottom) / 2, np.maximum((bottom - top) / 2, 1.5)
        return np.asarray((np.abs(rows - middle) <= half) & self.columns)

    @property
    def width(self) -> int:
        """Distance of the mouth's corners, pixels."""
        return _MOUTH_PIXELS

    @property
    def upper_lip(self) -> Mask:
        """The upper lip without its edges."""
        thick = self.inner_upper - self.outer_upper
        return self.select_rows(self.outer_upper + 0.15 * thick, self.outer_upper + 0.7 * thick)

    @property
    def lower_lip(self) -> Mask:
        """The lower lip without its edges."""
        thick = self.outer_lower - self.inner_lower
        return self.select_rows(self.inner_lower + 0.45 * thick, self.inner_lower + 0.9 * thick)

    @property
    def between_lips(self) -> Mask:
        """All from the middle of the upper lip to the upper quarter of the lower one."""
        top = self.outer_upper + 0.6 * (self.inner_upper - self.outer_upper)
        return self.select_rows(top - 1, self.inner_lower + 0.25 * (self.outer_lower - self.inner_lower) + 1)


def measure_mouth_profile(rgb: Picture, landmarks: Landmarks) -> MouthProfile:
    """What the mouth of a face shows between its lips."""
    mouth = LevelMouth.from_picture(rgb, landmarks)
    dark, teeth = find_mouth_inside(mouth, median_skin(rgb, landmarks))
    per_pixel = 1 / (_MOUTH_PIXELS * mouth.columns.sum())
    gaps = (mouth.inner_lower - mouth.inner_upper)[mouth.columns]
    return MouthProfile(
        gap=float(gaps.mean()) / _MOUTH_PIXELS,
        dark=float(dark.sum() * per_pixel),
        teeth=float(teeth.sum() * per_pixel),
        columns=float(np.any(teeth, axis=0)[mouth.columns].mean()),
    )


def measure_lip_redness(rgb: Picture, landmarks: Landmarks) -> tuple[float, float] | None:
    """Redness of the upper and of the lower lip relative to the redder skin of cheeks and upper face.

    None in a picture without colours.
    """
    mouth = LevelMouth.from_picture(rgb, landmarks)
    redness = _measure_relative_redness(mouth, rgb, landmarks)
    if redness is None:
        return None
    return float(np.median(redness[mouth.upper_lip])), float(np.median(redness[mouth.lower_lip]))


def find_skin_before_lips(rgb: Picture, landmarks: Landmarks) -> SkinBeforeLips | None:
    """Where a finger or a hand lies before the lips: they are no redder than skin there, and have no edge.

    None in a picture without colours.
    """
    mouth = LevelMouth.from_picture(rgb, landmarks)
    redness = _measure_relative_redness(mouth, rgb, landmarks)
    if redness is None:
        return None
    above = mouth.select_rows(mouth.outer_upper - _EDGE_FAR, mouth.outer_upper - _EDGE_NEAR)
    below = mouth.select_rows(mouth.outer_lower + _EDGE_NEAR, mouth.outer_lower + _EDGE_FAR)
    lower = both = 0
    for part in np.array_split(np.flatnonzero(mouth.columns), _PARTS):
        upper_lip, lower_lip, skin_above, skin_below = (
            float(np.median(redness[:, part][mask[:, part]]))
            for mask in (mouth.upper_lip, mouth.lower_lip, above, below)
        )
        upper_step, lower_step = abs(upper_lip - skin_above), abs(lower_lip - skin_below)
        lower += lower_lip < _MAX_SKIN_REDNESS and lower_step < _MAX_EDGE_STEP
        both += (
            max(upper_lip, lower_lip) < _MAX_SKIN_REDNESS
            and max(upper_step, lower_step) < _MAX_BOTH_EDGE_STEP
        )
    return SkinBeforeLips(lower=lower, both=both)


def _measure_relative_redness(mouth: LevelMouth, rgb: Picture, landmarks: Landmarks) -> FloatArray | None:
    """Redness of the level mouth over that of the redder skin around, [h, w]; None without colours."""
    places = (median_skin(rgb, landmarks), _median_colour(rgb, landmarks, _UPPER_FACE))
    skin = max(float(_split_colour(colour)[1]) for colour in places)
    if skin < _MIN_SKIN_REDNESS:
        return None
    return np.asarray(_split_colour(mouth.rgb)[1] / skin, np.float32)


def find_mouth_inside(mouth: LevelMouth, skin: FloatArray) -> tuple[Mask, Mask]:
    """Masks of what is dark and of what is tooth between the lips, [h, w]; `skin` is the colour of the cheeks, RGB."""
    between = mouth.between_lips
    dark, pale = _find_dark_and_pale(mouth, skin)
    return between & dark, between & pale


def find_teeth_on_lips(mouth: LevelMouth, skin: FloatArray) -> tuple[Mask, Mask]:
    """Masks of what has the colour of teeth on the lips away from the opening, and of these lips, [h, w]."""
    lips = mouth.select_rows(mouth.outer_upper, mouth.inner_upper - _EDGE_PIXELS)
    lips |= mouth.select_rows(mouth.inner_lower + _EDGE_PIXELS, mouth.outer_lower)
    pale = _find_dark_and_pale(mouth, skin)[1]
    return lips & pale, lips


def _find_dark_and_pale(mouth: LevelMouth, skin: FloatArray) -> tuple[Mask, Mask]:
    """Masks of what is darker than both lips, and of what has the colour of teeth, [h, w]."""
    luma, redness = _split_colour(mouth.rgb)
    skin_luma, skin_redness = (float(value) for value in _split_colour(skin))
    upper_luma, lower_luma = (float(np.median(luma[lip])) for lip in (mouth.upper_lip, mouth.lower_lip))
    upper_red, lower_red = (float(np.median(redness[lip])) for lip in (mouth.upper_lip, mouth.lower_lip))
    darker, gain = min(upper_luma, lower_luma), float(np.interp(lower_luma, _LIP_LUMAS, _TOOTH_GAINS))
    bright = (luma > gain * darker) & (luma > _MIN_TOOTH_LUMA_SHARE * skin_luma)
    opening = mouth.select_rows(mouth.inner_upper, mouth.inner_lower)
    pale = redness < _MAX_TOOTH_REDNESS * min(lower_red, max(upper_red, skin_redness))
    pale |= opening & (redness < _MAX_TOOTH_REDNESS * lower_red)
    dark = luma < _DARK_SHARE * darker
    return np.asarray(dark), np.asarray(pale & bright & ~dark)


def _split_colour(rgb: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Luma 0…255, and the difference of red and green over it, of colours [..., 3]."""
    luma = rgb @ _LUMA
    return luma, np.asarray((rgb[..., 0] - rgb[..., 1]) / np.maximum(luma, 8))


def median_skin(rgb: Picture, landmarks: Landmarks) -> FloatArray:
    """Median colour of the cheeks, RGB [3]."""
    return _median_colour(rgb, landmarks, _CHEEKS)


def _median_colour(rgb: Picture, landmarks: Landmarks, points: tuple[int, ...]) -> FloatArray:
    height, width = rgb.shape[:2]
    x, y = np.clip(np.rint(landmarks[list(points), :2]).astype(int), 0, (width - 1, height - 1)).T
    return np.asarray(np.median(rgb[y, x], axis=0), np.float32)

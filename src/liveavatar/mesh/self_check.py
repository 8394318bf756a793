"""Does the engine draw this mouth well? A few visemes are drawn and measured against the portrait.

Each frame is looked at as any picture is: its landmarks are found anew and its colours compared with those of the
portrait, so no error of the engine's own contours is taken for granted. No single measure tells good mouths from bad
ones: a gap finds lips that do not meet, the red of the lips those that are gone, tooth colour on the lips teeth that
were dragged along.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from liveavatar.face.inspection.mouth_profile import (
    LevelMouth,
    Mask,
    find_mouth_inside,
    find_teeth_on_lips,
    measure_mouth_profile,
    median_skin,
)
from liveavatar.face.landmarks import Landmarks, enclose_landmarks, predict_landmarks
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.expression import RESTING_ARTICULATION, MouthArticulation
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.report import Finding, FindingLevel

CHECKED_VISEMES: Mapping[str, MouthArticulation] = {
    "rest": RESTING_ARTICULATION,
    "PP": replace(RESTING_ARTICULATION, jaw=0.3, closure=1.0),
    "FF": replace(RESTING_ARTICULATION, jaw=0.15, upper_lip=0.5, bite=1.0),
    "AA": replace(RESTING_ARTICULATION, jaw=1.0),
    "EE": replace(RESTING_ARTICULATION, jaw=0.35, spread=0.8),
    "OO": replace(RESTING_ARTICULATION, jaw=0.35, rounding=1.0),
}
"""The visemes that are drawn."""
_SHUT_VISEMES = ("rest", "PP")

_LIGHTNESS_SHARE = 0.4
"""Share of differences in lightness when colours are compared: lips are shaded as they move."""
_REACH = 6.0
"""How far beyond the landmarks' edges a lip's red is counted, pixels of the level mouth (80 wide)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    warn: float
    bad: float

    def grade(self, value: float) -> FindingLevel:
        return "ok" if value <= self.warn else "warn" if value <= self.bad else "bad"


_GAP_LIMITS = _Limits(warn=0.03, bad=0.06)
_TEETH_LIMITS = _Limits(warn=0.08, bad=0.15)
_RED_LOSS_LIMITS = _Limits(warn=0.5, bad=0.65)
_ASYMMETRY_LIMITS = _Limits(warn=0.03, bad=0.05)
"""Limits of the measures of `DrawnMouthReport`, chosen on the forty portraits of `benchmarks/mesh/faces.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnMouthReport:
    """What the drawn visemes show, each the worst over those concerned.

    `gap` is what is neither lip between lips that should meet: mean height of dark and of teeth over the mouth's width,
    beyond the line that shut lips have. `teeth_on_lips` is the share of the lips' area that has the colour of teeth,
    beyond that in the portrait. `upper_red`, `lower_red` are the areas with the lips' colour on PP over those in the
    portrait. `asymmetry` is the mean difference between the left and the right half of the line between the lips, over
    the mouth's width, beyond that in the portrait.
    """

    gap: float
    teeth_on_lips: float
    upper_red: float
    lower_red: float
    asymmetry: float


DrawMouth = Callable[[MouthArticulation], Picture]
"""Draws a frame with this articulation, of the portrait's size, the head at rest."""


def check_drawn_mouth(portrait: Portrait, draw: DrawMouth) -> list[Finding]:
    """Findings about the mouth that `draw` gives to `portrait`: draws CHECKED_VISEMES, about 15 ms each."""
    return list(judge_drawn_mouth(measure_drawn_mouth(portrait, draw)))


def measure_drawn_mouth(portrait: Portrait, draw: DrawMouth) -> DrawnMouthReport:
    """Measure the visemes that `draw` gives to `portrait`."""
    own = _SeenMouth.from_picture(portrait.rgb, portrait)
    drawn = {
        name: _SeenMouth.from_picture(draw(viseme), portrait) for name, viseme in CHECKED_VISEMES.items()
    }
    shut = drawn["PP"]
    own_upper, own_lower = own.measure_red_areas(own)
    upper, lower = shut.measure_red_areas(own)
    return DrawnMouthReport(
        gap=max(drawn[name].gap for name in _SHUT_VISEMES),
        teeth_on_lips=max(mouth.teeth_on_lips for mouth in drawn.values()) - own.teeth_on_lips,
        upper_red=upper / max(own_upper, 1.0),
        lower_red=lower / max(own_lower, 1.0),
        asymmetry=max(mouth.asymmetry for mouth in drawn.values()) - own.asymmetry,
    )


def judge_drawn_mouth(report: DrawnMouthReport) -> Iterator[Finding]:
    """One finding a measure, also for those that are "ok"."""
    loss = 1 - min(report.upper_red, report.lower_red)
    lip = "upper" if report.upper_red < report.lower_red else "lower"
    for name, level, fault in (
        ("lips meet", _GAP_LIMITS.grade(report.gap), "the drawn lips do not meet"),
        ("teeth", _TEETH_LIMITS.grade(report.teeth_on_lips), "teeth are drawn on the lips"),
        ("red of the lips", _RED_LOSS_LIMITS.grade(loss), f"the {lip} lip loses its colour when it moves"),
        ("symmetry", _ASYMMETRY_LIMITS.grade(report.asymmetry), "the drawn mouth is crooked"),
    ):
        remedy = "" if level == "ok" else "use a picture with closed lips"
        sentence = "as in the picture" if level == "ok" else fault
        yield Finding(name=name, level=level, sentence=sentence, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _SeenMouth:
    """The mouth in one picture: level, with its size in pixels, and the masks of what is dark and of teeth."""

    level: LevelMouth
    pixels: float
    dark: Mask
    teeth: Mask
    gap: float
    teeth_on_lips: float
    skin: Array

    @classmethod
    def from_picture(cls, rgb: Picture, portrait: Portrait) -> "_SeenMouth":
        """Look at the mouth in `rgb`, whose face is where that of `portrait` is."""
        landmarks = predict_landmarks(rgb, enclose_landmarks(portrait.landmarks))[0]
        level, skin = LevelMouth.from_picture(rgb, landmarks), median_skin(rgb, landmarks)
        dark, teeth = find_mouth_inside(level, skin)
        return cls(
            level=level,
            pixels=_mouth_width(landmarks),
            dark=dark,
            teeth=teeth,
            gap=measure_mouth_profile(rgb, landmarks).excess,
            teeth_on_lips=find_teeth_on_lips(level, skin),
            skin=as_float32(skin),
        )

    @property
    def asymmetry(self) -> float:
        """Mean difference of the line between the lips and its mirror image, over the mouth's width."""
        line = (self.level.inner_upper + self.level.inner_lower)[self.level.columns] / 2
        return float(np.abs(line - line[::-1]).mean()) / self.level.width

    def measure_red_areas(self, own: "_SeenMouth") -> tuple[float, float]:
        """Areas of the upper and of the lower lip that have the colours of those of `own`, square pixels."""
        upper, lower = self._red_mask(own, own.level.upper_lip), self._red_mask(own, own.level.lower_lip)
        level = self.level
        line = as_float32((level.inner_upper + level.inner_lower) / 2)
        above = level.select_rows(level.outer_upper - np.float32(_REACH), line)
        below = level.select_rows(line, level.outer_lower + np.float32(_REACH))
        scale = (self.pixels / level.width) ** 2
        return scale * float((upper & above).sum()), scale * float((lower & below).sum())

    def _red_mask(self, own: "_SeenMouth", lip: Mask) -> Mask:
        """Pixels whose colour is nearer to that of the lip of `own` than to its skin, and neither dark nor tooth."""
        lab, own_lab = _to_weighted_lab(self.level.rgb), _to_weighted_lab(own.level.rgb)
        lip_colour = np.median(own_lab[lip], axis=0)
        skin_colour = _to_weighted_lab(own.skin[None, None])[0, 0]
        from_lip, from_skin = (np.linalg.norm(lab - colour, axis=-1) for colour in (lip_colour, skin_colour))
        return np.asarray((from_lip < from_skin) & ~self.dark & ~self.teeth)


def _to_weighted_lab(rgb: Array) -> Array:
    """CIE Lab [h, w, 3] of RGB 0…255, with less weight on lightness."""
    lab = cv2.cvtColor(as_float32(rgb.clip(0, 255) / 255), cv2.COLOR_RGB2Lab)
    return as_float32(lab * (_LIGHTNESS_SHARE, 1, 1))


def _mouth_width(landmarks: Landmarks) -> float:
    """Distance of the mouth's corners in pixels."""
    return float(np.linalg.norm(landmarks[61, :2] - landmarks[291, :2]))

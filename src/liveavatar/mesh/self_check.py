"""Does the engine draw this mouth well? A few visemes are drawn and measured against the portrait.

Each frame is looked at as any picture is: its landmarks are found anew and its colours compared with those of the
portrait, so no error of the engine's own contours is taken for granted. No single measure tells good mouths from bad
ones: a gap finds lips that do not meet, the red of the lips those that are gone, tooth colour on the lips teeth that
were dragged along, lip colour on the chin and a pointed lip those that were stretched.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

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
from liveavatar.mesh.lips.lip_outline import LipColourModel, LowerLipOutline
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
_RED_LOSS_LIMITS = _Limits(warn=0.55, bad=0.72)
_ASYMMETRY_LIMITS = _Limits(warn=0.03, bad=0.05)
_STRAY_LIMITS = _Limits(warn=0.4, bad=0.7)
_POINT_LIMITS = _Limits(warn=0.07, bad=0.095)
"""Limits of the measures of `DrawnMouthReport`, chosen on the forty portraits of `benchmarks/mesh/faces.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnMouthReport:
    """What the drawn visemes show, each the worst over those concerned.

    `gap` is what is neither lip between lips that should meet: mean height of dark and of teeth over the mouth's width,
    beyond the line that shut lips have. `teeth_on_lips` is the share of the lips' area that has the colour of teeth,
    beyond that in the portrait. `upper_red`, `lower_red` are the areas with the lips' colour on PP over those in the
    portrait. `asymmetry` is the mean difference between the left and the right half of the line between the lips, over
    the mouth's width, beyond that in the portrait. `stray_red` is the area of lip colour on the chin over the lower
    lip's, beyond that in the portrait; `pointedness` how much lower the lip's flanks are than the portrait's would be
    at this height, over the mouth's width; both on PP.
    """

    gap: float
    teeth_on_lips: float
    upper_red: float
    lower_red: float
    asymmetry: float
    stray_red: float
    pointedness: float


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
    colours = LipColourModel.from_mouth(own.level)
    own_upper, own_lower = own.measure_red_areas(colours)
    upper, lower = shut.measure_red_areas(colours)
    teeth = [mouth.measure_teeth_on_lips(colours) for mouth in (own, *drawn.values())]
    outline, shut_outline = own.trace_lower_lip(colours), shut.trace_lower_lip(colours)
    return DrawnMouthReport(
        gap=max(drawn[name].gap for name in _SHUT_VISEMES),
        teeth_on_lips=max(teeth) - teeth[0],
        upper_red=upper / max(own_upper, 1.0),
        lower_red=lower / max(own_lower, 1.0),
        asymmetry=max(mouth.asymmetry for mouth in drawn.values()) - own.asymmetry,
        stray_red=shut_outline.stray - outline.stray,
        pointedness=shut_outline.measure_pointedness(outline),
    )


def judge_drawn_mouth(report: DrawnMouthReport) -> Iterator[Finding]:
    """One finding a measure, also for those that are "ok"."""
    loss = 1 - min(report.upper_red, report.lower_red)
    lip = "upper" if report.upper_red < report.lower_red else "lower"
    for name, level, fault in (
        ("lips meet", _GAP_LIMITS.grade(report.gap), "the drawn lips do not meet"),
        ("teeth", _TEETH_LIMITS.grade(report.teeth_on_lips), "teeth are drawn on the lips"),
        ("red of the lips", _RED_LOSS_LIMITS.grade(loss), f"the {lip} lip loses its colour when it moves"),
        ("lip colour", _STRAY_LIMITS.grade(report.stray_red), "lip colour is drawn on the chin"),
        ("lip shape", _POINT_LIMITS.grade(report.pointedness), "the drawn lower lip is pointed"),
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
            skin=as_float32(skin),
        )

    @property
    def asymmetry(self) -> float:
        """Mean difference of the line between the lips and its mirror image, over the mouth's width."""
        line = (self.level.inner_upper + self.level.inner_lower)[self.level.columns] / 2
        return float(np.abs(line - line[::-1]).mean()) / self.level.width

    def measure_red_areas(self, colours: LipColourModel) -> tuple[float, float]:
        """Areas of the upper and of the lower lip that have the `colours` of the portrait's, square pixels."""
        upper, lower = colours.find_lips(self.level)
        level, inside = self.level, self.dark | self.teeth
        line = as_float32((level.inner_upper + level.inner_lower) / 2)
        above = level.select_rows(level.outer_upper - np.float32(_REACH), line)
        below = level.select_rows(line, level.outer_lower + np.float32(_REACH))
        scale = (self.pixels / level.width) ** 2
        return scale * float((upper & above & ~inside).sum()), scale * float((lower & below & ~inside).sum())

    def measure_teeth_on_lips(self, colours: LipColourModel) -> float:
        """Share of the lips' area, away from the opening, that has the colour of teeth and not that of lips or skin."""
        teeth, lips = find_teeth_on_lips(self.level, self.skin)
        return float((teeth & colours.find_alien_colours(self.level)).sum() / max(int(lips.sum()), 1))

    def trace_lower_lip(self, colours: LipColourModel) -> LowerLipOutline:
        """The outline of the lower lip."""
        return LowerLipOutline.from_mask(self.level, colours.find_lips(self.level)[1])


def _mouth_width(landmarks: Landmarks) -> float:
    """Distance of the mouth's corners in pixels."""
    return float(np.linalg.norm(landmarks[61, :2] - landmarks[291, :2]))

"""Judge a portrait: each measurement becomes a finding with a level, a sentence and a remedy.

The limits have no published source. Comments give the values measured on a photograph by the United States Navy and
on six sample portraits; `tests/face/test_quality.py` alters pictures so that each limit is exceeded.
"""

from collections.abc import Iterator
from typing import NamedTuple

from liveavatar.face.inspection.measurements import PortraitReport, measure_portrait
from liveavatar.face.portrait import Portrait
from liveavatar.face.search import CLEAR_FACE_TRUST, MIN_FACE_TRUST
from liveavatar.report import FINDING_LEVELS, Finding, FindingLevel


class _Limits(NamedTuple):
    """The values from which a measurement is "warn" and "bad". It gets worse downwards if `bad` is below `warn`."""

    warn: float
    bad: float

    def grade(self, value: float) -> FindingLevel:
        """The level of `value`; at a limit, the better one."""
        sign = 1 if self.bad < self.warn else -1
        if sign * value >= sign * self.warn:
            return "ok"
        return "warn" if sign * value >= sign * self.bad else "bad"


_MIN_FACE_GAP = 0.12
"""Distance to the nearest other face over the size of this one: shoulder to shoulder 0.5, cheek to cheek 0 to 0.1."""
_SIZE_LIMITS = _Limits(warn=90, bad=60)  # pixels: the mouth is a third of the face's height wide
_BLUR_LIMITS = _Limits(warn=0.52, bad=0.66)
"""Blur effect (Crete et al. 2007): sharp faces 0.33 to 0.49; with a Gaussian blur of 1 and 2 pixels 0.50 and 0.68."""
_MAX_YAW, _MAX_PITCH, _MAX_ROLL = 25.0, 20.0, 20.0  # degrees, to "warn"
_POSE_LIMITS = _Limits(warn=1.0, bad=1.6)  # the largest angle over its maximum: 40°, 32° and 32° are bad
_QUARTER_TURN = 45.0  # degrees of roll from which the picture itself is rotated by 90°
_EYE_OPENING_LIMITS = _Limits(warn=0.17, bad=0.11)  # height over width: open eyes 0.26 to 0.39
_MIN_EYE_CONTRAST = 0.25  # of the face's range of L*: visible eyes 0.41 to 0.93; dark glasses are even
_MIN_LIP_CONTRAST = 0.22  # of the face's range of L*: lips, with the dark line between them, 0.31 to 1.17
_MIN_LIP_REDNESS, _MIN_REDDER_LIP = 0.5, 1.08
"""Redness, relative to the skin, of the lower lip and of the redder lip: 0.9 to 7 and 1.2 to 7, under a moustache too;
a grey or black thing before them 0, fingers 0.8 to 1.02."""
_COVERED_PARTS, _DOUBTED_PARTS = 3, 2
"""Of six parts of the mouth, those with skin where the lower lip should be, from which something covers it, or may.
Where both lips should be, one part is enough."""
_WIDE_MOUTH = 0.4  # height over width: parted lips and smiles to 0.25, laughs and shouts from 0.3
_HIGHLIGHT_LIMITS = _Limits(
    warn=45, bad=30
)  # L* of the 95th percentile: well-lit faces 73 to 89, whatever their skin
_OVEREXPOSURE_LIMITS = _Limits(warn=0.25, bad=0.5)  # share of the face at full scale: up to 0.10
_CONTRAST_LIMITS = _Limits(warn=20, bad=12)  # L*, 5th to 95th percentile of the face: 45 to 74
_SHADE_LIMITS = _Limits(warn=30, bad=45)  # L* between the halves of the face: up to 26 in light from one side
_ABOVE_LIMITS = _Limits(warn=0.15, bad=0.0)  # face heights: for the hair
_BESIDE_LIMITS = _Limits(warn=0.1, bad=0.0)  # face heights: for ears and hair
_BELOW_LIMITS = _Limits(warn=0.2, bad=0.0)  # face heights: for the chin, which moves down


def check_portrait(portrait: Portrait) -> list[Finding]:
    """Findings about the chosen face, in the order of importance."""
    return list(judge_portrait_report(measure_portrait(portrait)))


def judge_portrait_report(report: PortraitReport) -> Iterator[Finding]:
    """One finding a measurement, also for those that are "ok"."""
    yield _judge_face(report)
    yield _judge_size(report)
    yield _judge_sharpness(report)
    yield _judge_pose(report)
    yield _judge_eyes(report)
    yield _judge_mouth(report)
    yield _judge_exposure(report)
    yield _judge_evenness(report)
    yield _judge_margins(report)


def _judge_face(report: PortraitReport) -> Finding:
    if report.nearest_face is not None and report.nearest_face < _MIN_FACE_GAP:
        remedy = "use a picture of one person: two faces that touch would be moved together"
        return _build_finding("face", "bad", "another face touches this one", remedy)
    if report.trust < MIN_FACE_TRUST:
        sentence = "this hardly looks like a photographed face; eyes and mouth may be off"
        return _build_finding("face", "warn", sentence, "look at the result, or use a more natural picture")
    if report.trust < CLEAR_FACE_TRUST:
        sentence = "the face is not clear: blurred, small, drawn or partly covered"
        return _build_finding("face", "warn", sentence, "look at the result, or use a clearer picture")
    if report.faces > 1:
        sentence = f"one of {report.faces} clear faces (--face chooses, 1 is the largest)"
        return _build_finding("face", "ok", sentence)
    return _build_finding("face", "ok", "one clear face")


def _judge_size(report: PortraitReport) -> Finding:
    level = _SIZE_LIMITS.grade(report.size)
    sentence = f"the face is {report.size:.0f} pixels high"
    return _build_finding("size", level, sentence, "use a larger picture or crop less; 200 pixels are good")


def _judge_sharpness(report: PortraitReport) -> Finding:
    level = _BLUR_LIMITS.grade(report.blur)
    word = {"ok": "sharp", "warn": "a little soft", "bad": "blurred"}[level]
    return _build_finding("sharpness", level, f"the face is {word}", "use a sharper picture of this size")


def _judge_pose(report: PortraitReport) -> Finding:
    pose = report.pose
    worst = max(abs(pose.yaw) / _MAX_YAW, abs(pose.pitch) / _MAX_PITCH, abs(pose.roll) / _MAX_ROLL)
    side, tilt = "right" if pose.yaw > 0 else "left", "down" if pose.pitch > 0 else "up"
    lean = "right" if pose.roll > 0 else "left"
    sentence = (
        f"the head is turned {abs(pose.yaw):.0f}° {side}, {abs(pose.pitch):.0f}° {tilt}, "
        f"and leans {abs(pose.roll):.0f}° {lean}"
    )
    remedy = "use a picture that looks more straight into the camera"
    if abs(pose.roll) > _QUARTER_TURN:
        remedy = f"turn the picture by 90° to the {'left' if pose.roll > 0 else 'right'}"
    return _build_finding("pose", _POSE_LIMITS.grade(worst), sentence, remedy)


def _judge_eyes(report: PortraitReport) -> Finding:
    if report.dark_glasses:
        return _build_finding("eyes", "bad", "dark glasses hide the eyes", "use a picture without them")
    if report.eye_contrast < _MIN_EYE_CONTRAST * report.contrast:
        remedy = "use a picture without dark glasses or blur"
        return _build_finding("eyes", "bad", "an eye cannot be made out", remedy)
    level = _EYE_OPENING_LIMITS.grade(min(report.eyes))
    sentences = {"ok": "both eyes are open", "warn": "an eye is half closed", "bad": "an eye is closed"}
    remedy = "use a picture with open eyes: closed ones cannot be opened"
    return _build_finding("eyes", level, sentences[level], remedy)


def _judge_mouth(report: PortraitReport) -> Finding:
    if report.lip_contrast < _MIN_LIP_CONTRAST * report.contrast:
        remedy = "use a picture whose mouth is not covered"
        return _build_finding("mouth", "bad", "the lips cannot be made out", remedy)
    redness = report.lip_redness
    if redness and (redness[1] < _MIN_LIP_REDNESS or max(redness) < _MIN_REDDER_LIP):
        remedy = "use a picture with nothing before the mouth"
        return _build_finding(
            "mouth", "bad", "something covers the lips: a hand, a microphone, a mask", remedy
        )
    skin = report.skin_before_lips
    if skin and (skin.both or skin.lower >= _DOUBTED_PARTS):
        covered = skin.both or skin.lower >= _COVERED_PARTS
        sentence = "a finger or a hand covers the lips" if covered else "a finger may cover the lower lip"
        remedy = "use a picture with nothing before the mouth"
        return _build_finding("mouth", "bad" if covered else "warn", sentence, remedy)
    state = report.mouth_profile.state
    sentences = {
        "shut": "the mouth is shut",
        "parted": "the lips are parted",
        "teeth": "the mouth is open and shows teeth",
    }
    if state != "shut" and report.mouth > _WIDE_MOUTH:
        remedy = "closed lips speak best; use such a picture"
        return _build_finding("mouth", "warn", "the mouth is wide open", remedy)
    return _build_finding("mouth", "ok", sentences[state])


def _judge_exposure(report: PortraitReport) -> Finding:
    level, sentence = max(
        (_HIGHLIGHT_LIMITS.grade(report.highlight), "the face is too dark"),
        (_OVEREXPOSURE_LIMITS.grade(report.burnt), "the face is overexposed"),
        (_CONTRAST_LIMITS.grade(report.contrast), "the face is flat, as seen through haze"),
        key=lambda fault: FINDING_LEVELS.index(fault[0]),
    )
    if level == "ok":
        return _build_finding("exposure", level, "the face is well exposed")
    remedy = "correct brightness and contrast, or use another picture"
    return _build_finding("exposure", level, sentence, remedy)


def _judge_evenness(report: PortraitReport) -> Finding:
    level = _SHADE_LIMITS.grade(abs(report.shade))
    side = "left" if report.shade > 0 else "right"
    sentence = "the light is even" if level == "ok" else f"the {side} half of the face lies in shadow"
    return _build_finding("evenness", level, sentence, "use a picture lit from the front")


def _judge_margins(report: PortraitReport) -> Finding:
    room = report.room
    level = max(
        _ABOVE_LIMITS.grade(room.above),
        _BESIDE_LIMITS.grade(room.beside),
        _BELOW_LIMITS.grade(room.below),
        key=FINDING_LEVELS.index,
    )
    sentences = {
        "ok": "there is room around the face",
        "warn": "the picture ends close to the face",
        "bad": "the face is cut off by the edge of the picture",
    }
    remedy = "use a picture that shows the whole head and the shoulders"
    return _build_finding("room", level, sentences[level], remedy)


def _build_finding(name: str, level: FindingLevel, sentence: str, remedy: str = "") -> Finding:
    return Finding(name=name, level=level, sentence=sentence, remedy="" if level == "ok" else remedy)

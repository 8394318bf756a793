"""Is a portrait good enough to speak? Each measurement as a sentence, and what to do about it."""

from collections.abc import Iterator

from liveavatar.face.measurements import PortraitReport, measure_portrait
from liveavatar.face.portrait import Portrait
from liveavatar.face.search import CLEAR_FACE_TRUST, MIN_FACE_TRUST
from liveavatar.report import Finding, FindingLevel


def check_portrait(portrait: Portrait) -> list[Finding]:
    """What there is to say about the chosen face, in the order of importance."""
    return list(judge_portrait_report(measure_portrait(portrait)))


def judge_portrait_report(report: PortraitReport) -> Iterator[Finding]:
    """Every measurement as a finding, the good ones too."""
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
    if report.trust < MIN_FACE_TRUST:
        sentence = "this hardly looks like a photographed face; eyes and mouth may be off"
        return _build_finding("face", "warn", sentence, "look at the result, or use a more natural picture")
    if report.trust < CLEAR_FACE_TRUST:
        sentence = "the face is not clear: blurred, small, drawn or partly covered"
        return _build_finding("face", "warn", sentence, "look at the result, or use a clearer picture")
    if report.faces > 1:
        return _build_finding(
            "face", "ok", f"one of {report.faces} clear faces (--face chooses, 1 is the largest)"
        )
    return _build_finding("face", "ok", "one clear face")


def _judge_size(report: PortraitReport) -> Finding:
    level = _grade_value(report.size, warn=90, bad=60)
    sentence = f"the face is {report.size:.0f} pixels high"
    return _build_finding("size", level, sentence, "use a larger picture or crop less; 200 pixels are good")


def _judge_sharpness(report: PortraitReport) -> Finding:
    level = _grade_value(-report.blur, warn=-0.52, bad=-0.66)
    words = {"ok": "sharp", "warn": "a little soft", "bad": "blurred"}
    return _build_finding(
        "sharpness", level, f"the face is {words[level]}", "use a sharper picture of this size"
    )


def _judge_pose(report: PortraitReport) -> Finding:
    pose = report.pose
    worst = max(abs(pose.yaw) / 25, abs(pose.pitch) / 20, abs(pose.roll) / 20)
    level = _grade_value(-worst, warn=-1, bad=-1.6)
    side, tilt = "right" if pose.yaw > 0 else "left", "down" if pose.pitch > 0 else "up"
    lean = "right" if pose.roll > 0 else "left"
    sentence = (
        f"the head is turned {abs(pose.yaw):.0f}° {side}, {abs(pose.pitch):.0f}° {tilt}, "
        f"and leans {abs(pose.roll):.0f}° {lean}"
    )
    remedy = "use a picture that looks more straight into the camera"
    if abs(pose.roll) > 45:
        remedy = f"turn the picture by 90° to the {'left' if pose.roll > 0 else 'right'}"
    return _build_finding("pose", level, sentence, remedy)


def _judge_eyes(report: PortraitReport) -> Finding:
    if report.eye_contrast < 0.25 * report.contrast:
        return _build_finding(
            "eyes", "bad", "an eye cannot be made out", "use a picture without dark glasses or blur"
        )
    opening = min(report.eyes)
    level = _grade_value(opening, warn=0.17, bad=0.11)
    words = {"ok": "open", "warn": "half closed", "bad": "closed"}
    which = "both eyes are open" if level == "ok" else f"an eye is {words[level]}"
    return _build_finding("eyes", level, which, "use a picture with open eyes: closed ones cannot be opened")


def _judge_mouth(report: PortraitReport) -> Finding:
    if report.lip_contrast < 0.22 * report.contrast:  # the line between lips is dark, a mask is even
        return _build_finding(
            "mouth", "bad", "the lips cannot be made out", "use a picture whose mouth is not covered"
        )
    level = _grade_value(-report.mouth, warn=-0.2, bad=-0.5)
    words = {"ok": "closed or nearly so", "warn": "open", "bad": "wide open"}
    return _build_finding(
        "mouth", level, f"the mouth is {words[level]}", "closed lips speak best; use such a picture"
    )


def _judge_exposure(report: PortraitReport) -> Finding:
    level, sentence = max(
        (_grade_value(report.highlight, warn=45, bad=30), "the face is too dark"),
        (_grade_value(-report.burnt, warn=-0.25, bad=-0.5), "the face is overexposed"),
        (_grade_value(report.contrast, warn=20, bad=12), "the face is flat, as seen through haze"),
        key=lambda fault: ("ok", "warn", "bad").index(fault[0]),
    )
    if level == "ok":
        return _build_finding("exposure", level, "the face is well exposed")
    return _build_finding(
        "exposure", level, sentence, "correct brightness and contrast, or use another picture"
    )


def _judge_evenness(report: PortraitReport) -> Finding:
    level = _grade_value(-abs(report.shade), warn=-30, bad=-45)
    side = "left" if report.shade > 0 else "right"
    sentence = "the light is even" if level == "ok" else f"the {side} half of the face lies in shadow"
    return _build_finding("evenness", level, sentence, "use a picture lit from the front")


def _judge_margins(report: PortraitReport) -> Finding:
    room = report.room
    level = max(
        _grade_value(room.above, warn=0.15, bad=0),
        _grade_value(room.beside, warn=0.1, bad=0),
        _grade_value(room.below, warn=0.2, bad=0),
        key=("ok", "warn", "bad").index,
    )
    words = {"ok": "there is room around the face", "warn": "the picture ends close to the face"}
    sentence = words.get(level, "the face is cut off by the edge of the picture")
    return _build_finding(
        "room", level, sentence, "use a picture that shows the whole head and the shoulders"
    )


def _grade_value(value: float, *, warn: float, bad: float) -> FindingLevel:
    """Ok when `value` is at least `warn`, else warn when at least `bad`."""
    return "ok" if value >= warn else "warn" if value >= bad else "bad"


def _build_finding(name: str, level: FindingLevel, sentence: str, remedy: str = "") -> Finding:
    return Finding(name=name, level=level, sentence=sentence, remedy="" if level == "ok" else remedy)

"""Is a portrait good enough to speak? Each measurement as a sentence, and what to do about it."""

from collections.abc import Iterator

from liveavatar.face.measure import PortraitReport, measure
from liveavatar.face.portrait import Portrait
from liveavatar.face.search import PLAIN, SURE
from liveavatar.report import Finding, Level


def check_portrait(portrait: Portrait) -> list[Finding]:
    """What there is to say about the chosen face, in the order of importance."""
    return list(find(measure(portrait)))


def find(report: PortraitReport) -> Iterator[Finding]:
    """Every measurement as a finding, the good ones too."""
    yield _face(report)
    yield _size(report)
    yield _sharpness(report)
    yield _pose(report)
    yield _eyes(report)
    yield _mouth(report)
    yield _exposure(report)
    yield _evenness(report)
    yield _room(report)


def _face(report: PortraitReport) -> Finding:
    if report.trust < SURE:
        sentence = "this hardly looks like a photographed face; eyes and mouth may be off"
        return _finding("face", "warn", sentence, "look at the result, or use a more natural picture")
    if report.trust < PLAIN:
        sentence = "the face is not clear: blurred, small, drawn or partly covered"
        return _finding("face", "warn", sentence, "look at the result, or use a clearer picture")
    if report.faces > 1:
        return _finding("face", "ok", f"one of {report.faces} clear faces (--face chooses, 1 is the largest)")
    return _finding("face", "ok", "one clear face")


def _size(report: PortraitReport) -> Finding:
    level = _above(report.size, warn=90, bad=60)
    sentence = f"the face is {report.size:.0f} pixels high"
    return _finding("size", level, sentence, "use a larger picture or crop less; 200 pixels are good")


def _sharpness(report: PortraitReport) -> Finding:
    level = _above(-report.blur, warn=-0.52, bad=-0.66)
    words = {"ok": "sharp", "warn": "a little soft", "bad": "blurred"}
    return _finding("sharpness", level, f"the face is {words[level]}", "use a sharper picture of this size")


def _pose(report: PortraitReport) -> Finding:
    pose = report.pose
    worst = max(abs(pose.yaw) / 25, abs(pose.pitch) / 20, abs(pose.roll) / 20)
    level = _above(-worst, warn=-1, bad=-1.6)
    side, tilt = "right" if pose.yaw > 0 else "left", "down" if pose.pitch > 0 else "up"
    lean = "right" if pose.roll > 0 else "left"
    sentence = (
        f"the head is turned {abs(pose.yaw):.0f}° {side}, {abs(pose.pitch):.0f}° {tilt}, "
        f"and leans {abs(pose.roll):.0f}° {lean}"
    )
    remedy = "use a picture that looks more straight into the camera"
    if abs(pose.roll) > 45:
        remedy = f"turn the picture by 90° to the {'left' if pose.roll > 0 else 'right'}"
    return _finding("pose", level, sentence, remedy)


def _eyes(report: PortraitReport) -> Finding:
    if report.eye_contrast < 0.25 * report.contrast:
        return _finding(
            "eyes", "bad", "an eye cannot be made out", "use a picture without dark glasses or blur"
        )
    opening = min(report.eyes)
    level = _above(opening, warn=0.17, bad=0.11)
    words = {"ok": "open", "warn": "half closed", "bad": "closed"}
    which = "both eyes are open" if level == "ok" else f"an eye is {words[level]}"
    return _finding("eyes", level, which, "use a picture with open eyes: closed ones cannot be opened")


def _mouth(report: PortraitReport) -> Finding:
    if report.lip_contrast < 0.22 * report.contrast:  # the line between lips is dark, a mask is even
        return _finding(
            "mouth", "bad", "the lips cannot be made out", "use a picture whose mouth is not covered"
        )
    level = _above(-report.mouth, warn=-0.2, bad=-0.5)
    words = {"ok": "closed or nearly so", "warn": "open", "bad": "wide open"}
    return _finding(
        "mouth", level, f"the mouth is {words[level]}", "closed lips speak best; use such a picture"
    )


def _exposure(report: PortraitReport) -> Finding:
    level, sentence = max(
        (_above(report.highlight, warn=45, bad=30), "the face is too dark"),
        (_above(-report.burnt, warn=-0.25, bad=-0.5), "the face is overexposed"),
        (_above(report.contrast, warn=20, bad=12), "the face is flat, as seen through haze"),
        key=lambda fault: ("ok", "warn", "bad").index(fault[0]),
    )
    if level == "ok":
        return _finding("exposure", level, "the face is well exposed")
    return _finding("exposure", level, sentence, "correct brightness and contrast, or use another picture")


def _evenness(report: PortraitReport) -> Finding:
    level = _above(-abs(report.shade), warn=-30, bad=-45)
    side = "left" if report.shade > 0 else "right"
    sentence = "the light is even" if level == "ok" else f"the {side} half of the face lies in shadow"
    return _finding("evenness", level, sentence, "use a picture lit from the front")


def _room(report: PortraitReport) -> Finding:
    room = report.room
    level = max(
        _above(room.above, warn=0.15, bad=0),
        _above(room.beside, warn=0.1, bad=0),
        _above(room.below, warn=0.2, bad=0),
        key=("ok", "warn", "bad").index,
    )
    words = {"ok": "there is room around the face", "warn": "the picture ends close to the face"}
    sentence = words.get(level, "the face is cut off by the edge of the picture")
    return _finding("room", level, sentence, "use a picture that shows the whole head and the shoulders")


def _above(value: float, *, warn: float, bad: float) -> Level:
    """Ok when `value` is at least `warn`, else warn when at least `bad`."""
    return "ok" if value >= warn else "warn" if value >= bad else "bad"


def _finding(name: str, level: Level, sentence: str, remedy: str = "") -> Finding:
    return Finding(name=name, level=level, sentence=sentence, remedy="" if level == "ok" else remedy)

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from face.open_mouths import open_mouth
from face.scenes import draw_background, paste_picture, rotate_picture, scale_picture
from liveavatar.face.inspection.measurements import measure_portrait
from liveavatar.face.inspection.mouth_profile import SkinBeforeLips, find_skin_before_lips, median_skin
from liveavatar.face.inspection.quality import check_portrait, judge_portrait_report
from liveavatar.face.portrait import Landmarks, Portrait, find_portrait
from liveavatar.frames import Picture
from liveavatar.report import Finding, find_worst_level
from tools import portrait_covers

NAMES = ["face", "size", "sharpness", "pose", "eyes", "mouth", "exposure", "evenness", "room"]
LOWER_FACE = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323,
              454, 195)  # fmt: skip
EYES = ((33, 133), (362, 263))


def judge(portrait: Portrait, name: str) -> Finding:
    return {finding.name: finding for finding in check_portrait(portrait)}[name]


def judge_picture(rgb: Picture, name: str) -> Finding:
    return judge(find_portrait(np.ascontiguousarray(rgb)), name)


def repaint(portrait: Portrait, change: Callable[[Picture], Picture]) -> Portrait:
    """The same landmarks on a changed picture: each measurement is tried alone."""
    return replace(portrait, rgb=change(portrait.rgb.copy()).astype(np.uint8))


def move_landmarks(portrait: Portrait, change: Callable[[Landmarks], None]) -> Portrait:
    landmarks = portrait.landmarks.copy()
    change(landmarks)
    return replace(portrait, landmarks=landmarks)


def test_a_good_portrait_needs_no_remedy(portrait: Portrait) -> None:
    findings = check_portrait(portrait)
    assert [finding.name for finding in findings] == NAMES
    assert find_worst_level(findings) == "ok"
    assert {finding.remedy for finding in findings} == {""}


def test_every_warning_has_a_sentence_and_a_remedy(hopper: Picture) -> None:
    poor = find_portrait(np.asarray(cv2.GaussianBlur(scale_picture(hopper, 0.25) // 4, (0, 0), 2), np.uint8))
    complaints = [finding for finding in check_portrait(poor) if finding.level != "ok"]
    assert {"size", "sharpness", "exposure"} <= {finding.name for finding in complaints}
    for complaint in complaints:
        assert complaint.sentence
        assert complaint.remedy


@pytest.mark.parametrize(("scale", "level"), [(1, "ok"), (0.5, "ok"), (0.35, "warn"), (0.25, "bad")])
def test_size(hopper: Picture, scale: float, level: str) -> None:
    found = judge_picture(scale_picture(hopper, scale), "size")
    assert found.level == level
    pixels = int(found.sentence.split()[3])
    assert pixels == pytest.approx(202 * scale, abs=4)


@pytest.mark.parametrize(("sigma", "level"), [(0.5, "ok"), (1.6, "warn"), (4, "bad")])
def test_sharpness(portrait: Portrait, sigma: float, level: str) -> None:
    soft = repaint(portrait, lambda rgb: np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8))
    assert judge(soft, "sharpness").level == level


def test_an_enlarged_picture_is_soft(hopper: Picture) -> None:
    assert judge_picture(scale_picture(scale_picture(hopper, 0.25), 4), "sharpness").level != "ok"


def test_sharpness_is_not_brightness(portrait: Portrait) -> None:
    blurs = [measure_portrait(repaint(portrait, lambda rgb, k=k: rgb // k)).blur for k in (1, 2, 4)]  # type: ignore[misc]
    assert max(blurs) - min(blurs) < 0.05


@pytest.mark.parametrize(
    ("degrees", "level", "remedy"),
    [(5, "ok", ""), (-25, "warn", "straight"), (40, "bad", "straight"),
     (90, "bad", "turn the picture by 90° to the left"), (-90, "bad", "turn the picture by 90° to the right")],
)  # fmt: skip
def test_a_leaning_head(hopper: Picture, degrees: float, level: str, remedy: str) -> None:
    found = judge_picture(rotate_picture(hopper, degrees)[0], "pose")
    assert found.level == level
    assert remedy in found.remedy


def test_a_turned_head(portrait: Portrait) -> None:
    def turn(landmarks: Landmarks) -> None:
        cos, sin = np.cos(np.radians(45)), np.sin(np.radians(45))
        middle = landmarks.mean(axis=0)
        landmarks[:] = (landmarks - middle) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) + middle

    found = judge(move_landmarks(portrait, turn), "pose")
    assert found.level == "bad"
    assert "turned 46° right" in found.sentence


@pytest.mark.parametrize(
    ("share", "level", "word"), [(1, "ok", "open"), (0.45, "warn", "half"), (0.2, "bad", "closed")]
)
def test_closing_eyes(portrait: Portrait, share: float, level: str, word: str) -> None:
    def close(landmarks: Landmarks) -> None:
        for upper, lower in ((159, 145), (158, 153), (160, 144)):
            landmarks[upper] = landmarks[lower] + share * (landmarks[upper] - landmarks[lower])

    found = judge(move_landmarks(portrait, close), "eyes")
    assert found.level == level
    assert word in found.sentence


@pytest.mark.parametrize("reflection", [None, (150, 160, 175)])
def test_dark_glasses(hopper: Picture, portrait: Portrait, reflection: tuple[int, int, int] | None) -> None:
    picture = hopper.copy()
    for outer, inner in EYES:
        middle = portrait.landmarks[[outer, inner], :2].mean(axis=0)
        width = round(float(np.ptp(portrait.landmarks[[outer, inner], 0])))
        axes = (round(0.85 * width), round(0.65 * width))
        cv2.ellipse(picture, tuple(np.round(middle).astype(int).tolist()), axes, 0, 0, 360, (15, 15, 18), -1)
        if reflection:
            at = tuple(np.round(middle - 0.2 * width).astype(int).tolist())
            cv2.ellipse(picture, at, (round(0.3 * width), round(0.2 * width)), -20, 0, 360, reflection, -1)
    found = judge_picture(picture, "eyes")
    assert found.level == "bad"
    assert "dark glasses" in found.sentence


@pytest.mark.parametrize(
    ("gap", "teeth", "level", "word"),
    [
        (0.0, 0.0, "ok", "shut"),
        (0.15, 0.0, "ok", "parted"),
        (0.2, 0.6, "ok", "teeth"),
        (0.7, 0.2, "warn", "wide"),
    ],
)
def test_an_open_mouth(portrait: Portrait, gap: float, teeth: float, level: str, word: str) -> None:
    found = judge(open_mouth(portrait, gap, teeth=teeth) if gap else portrait, "mouth")
    assert found.level == level
    assert word in found.sentence


@pytest.mark.parametrize("colour", [(120, 170, 210), (230, 230, 235), (20, 20, 24)])
def test_a_covered_mouth(portrait: Portrait, colour: tuple[int, int, int]) -> None:
    def cover(rgb: Picture) -> Picture:
        outline = np.round(portrait.landmarks[list(LOWER_FACE), :2]).astype(np.int32)
        mask = cv2.GaussianBlur(cv2.fillPoly(np.zeros(rgb.shape[:2]), [outline], 1), (0, 0), 1)[..., None]
        folds = 10 * np.sin(np.arange(rgb.shape[0]) / 4)[:, None, None]
        cloth = np.array(colour) + folds + np.random.default_rng(0).normal(0, 2, rgb.shape)
        return np.asarray(rgb * (1 - mask) + cloth.clip(0, 255) * mask, np.uint8)

    found = judge(repaint(portrait, cover), "mouth")
    assert found.level == "bad"
    assert "covered" in found.remedy


def test_a_grey_picture_still_has_lips(portrait: Portrait) -> None:
    grey = repaint(
        portrait, lambda rgb: np.repeat(rgb.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    )
    assert judge(grey, "mouth").level == "ok"


@pytest.mark.parametrize(
    ("gain", "offset", "level", "word"),
    [(0.6, 0, "ok", "well"), (0.45, 0, "warn", "dark"), (0.1, 0, "bad", "dark"), (1.5, 0, "bad", "overexposed"),
     (0.1, 110, "bad", "flat"), (0.3, 90, "warn", "flat")],
)  # fmt: skip
def test_exposure(portrait: Portrait, gain: float, offset: int, level: str, word: str) -> None:
    changed = repaint(portrait, lambda rgb: np.clip(rgb * gain + offset, 0, 255).astype(np.uint8))
    found = judge(changed, "exposure")
    assert found.level == level
    assert word in found.sentence


@pytest.mark.parametrize(("slope", "level"), [(0.2, "ok"), (1.3, "warn"), (3, "bad")])
@pytest.mark.parametrize("side", ["left", "right"])
def test_light_from_one_side(portrait: Portrait, slope: float, level: str, side: str) -> None:
    def shade(rgb: Picture) -> Picture:
        x = (np.arange(rgb.shape[1]) - portrait.landmarks[1, 0]) / np.ptp(portrait.landmarks[:, 0])
        light = 0.8 + (slope if side == "left" else -slope) * x
        return np.asarray(np.clip(rgb * np.clip(light, 0.05, 1.1)[None, :, None], 0, 255), np.uint8)

    found = judge(repaint(portrait, shade), "evenness")
    assert found.level == level
    assert level == "ok" or f"the {side} half" in found.sentence


@pytest.mark.parametrize(
    ("rows", "columns", "level"),
    [((80, 500), (110, 420), "ok"), ((122, 480), (100, 420), "warn"), ((60, 345), (100, 420), "warn"),
     ((60, 480), (185, 470), "bad")],
)  # fmt: skip
def test_room(hopper: Picture, rows: tuple[int, int], columns: tuple[int, int], level: str) -> None:
    assert judge_picture(hopper[slice(*rows), slice(*columns)], "room").level == level


def test_several_faces_are_counted(hopper: Picture) -> None:
    scene = paste_picture(
        paste_picture(draw_background(1200, 700), scale_picture(hopper, 0.6), 20, 50), hopper, 600, 80
    )
    found = judge_picture(scene, "face")
    assert found.level == "ok"
    assert "one of 2 " in found.sentence


@pytest.mark.parametrize(("trust", "level"), [(15, "ok"), (5, "warn"), (0.7, "warn")])
def test_low_trust_is_reported(portrait: Portrait, trust: float, level: str) -> None:
    assert judge(replace(portrait, trust=trust), "face").level == level


def test_a_face_at_the_very_edge_can_be_measured(portrait: Portrait) -> None:
    """Landmarks may lie outside the picture; nothing may fail then."""
    for shift in ((-300, 0, 0), (350, 0, 0), (0, -330, 0), (0, 500, 0), (-2000, 0, 0)):
        shifted = replace(portrait, landmarks=portrait.landmarks + np.array(shift, np.float32))
        assert judge(shifted, "room").level == "bad"


def with_fingers(portrait: Portrait) -> Portrait:
    """Four fingers of the cheeks' colour before the mouth."""
    rgb, unit = portrait.rgb.copy(), float(np.ptp(portrait.landmarks[[33, 263], 0]))
    x, y = portrait.landmarks[[13, 14], :2].mean(0).tolist()
    skin = median_skin(portrait.rgb, portrait.landmarks)
    for finger in range(4):
        row = round(y + unit * (0.2 * finger - 0.3))
        ends = ((round(x - 0.55 * unit), row), (round(x + 1.25 * unit), round(row + 0.2 * unit)))
        for thickness, shade in ((0.23, 0.65), (0.18, 1.0)):
            cv2.line(rgb, *ends, (shade * skin).tolist(), int(thickness * unit), cv2.LINE_AA)
    return replace(portrait, rgb=rgb)


def with_microphone(portrait: Portrait) -> Portrait:
    """A grey ball with grain on a stick, before the lower lip and the chin."""
    rgb, unit = portrait.rgb.copy(), float(np.ptp(portrait.landmarks[[33, 263], 0]))
    x, y = np.rint(portrait.landmarks[17, :2]).astype(int).tolist()
    cv2.line(rgb, (x, y), (x, y + int(1.5 * unit)), (30, 30, 34), int(0.2 * unit))
    ball = cv2.circle(np.zeros(rgb.shape[:2], np.uint8), (x, y), int(0.28 * unit), 1, -1) > 0
    rgb[ball] = np.random.default_rng(0).integers(45, 100, (int(ball.sum()), 1))
    return replace(portrait, rgb=rgb)


@pytest.mark.parametrize("cover", [with_fingers, with_microphone])
def test_a_thing_before_the_mouth(portrait: Portrait, cover: Callable[[Portrait], Portrait]) -> None:
    found = judge(cover(portrait), "mouth")
    assert found.level == "bad"
    assert "covers" in found.sentence


@pytest.mark.parametrize("name", [name for name in portrait_covers.COVERS if "lip" in name or "hand" in name])
def test_fingers_before_a_part_of_the_mouth(portrait: Portrait, name: str) -> None:
    found = judge(draw_cover(portrait, name), "mouth")
    assert found.level == "bad"
    assert "covers the lips" in found.sentence


def test_a_finger_on_a_part_of_the_lower_lip_is_doubted(portrait: Portrait) -> None:
    parts = SkinBeforeLips(lower=2, both=0)
    findings = judge_portrait_report(replace(measure_portrait(portrait), skin_before_lips=parts))
    found = next(finding for finding in findings if finding.name == "mouth")
    assert (found.level, found.sentence) == ("warn", "a finger may cover the lower lip")


def test_a_grey_picture_tells_nothing_of_skin(portrait: Portrait) -> None:
    grey = np.repeat(portrait.rgb[..., :1], 3, 2)
    assert find_skin_before_lips(grey, portrait.landmarks) is None


def draw_cover(portrait: Portrait, name: str) -> Portrait:
    """The portrait with one of the `COVERS` before the face."""
    return replace(portrait, rgb=portrait_covers.COVERS[name](portrait.rgb, portrait.landmarks))


@pytest.mark.parametrize(("gap", "level"), [(0.0, "bad"), (0.5, "ok"), (None, "ok")])
def test_another_face(portrait: Portrait, gap: float | None, level: str) -> None:
    assert judge(replace(portrait, nearest_face=gap), "face").level == level


def test_two_faces_cheek_to_cheek(hopper: Picture) -> None:
    """The photograph beside its mirror image, cut along a cheek."""
    half = hopper[:, :365]
    pair = np.ascontiguousarray(np.hstack([half, half[:, ::-1]]))
    found = judge_picture(pair, "face")
    assert found.level == "bad"
    assert "another face" in found.sentence


def test_a_profile_is_bad(portrait: Portrait) -> None:
    def turn(landmarks: Landmarks) -> None:
        middle, angle = landmarks[:468].mean(0), np.radians(50)
        x, z = landmarks[:, 0] - middle[0], landmarks[:, 2] - middle[2]
        landmarks[:, 0] = middle[0] + x * np.cos(angle) - z * np.sin(angle)
        landmarks[:, 2] = middle[2] + x * np.sin(angle) + z * np.cos(angle)

    assert judge(move_landmarks(portrait, turn), "pose").level == "bad"

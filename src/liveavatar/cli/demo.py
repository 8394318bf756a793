"""`liveavatar demo`: a portrait speaks, no arguments needed."""

from enum import StrEnum
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from liveavatar.cli.generate import prepare, tell
from liveavatar.cli.progress import frame_bar, summary
from liveavatar.engine import open_engine
from liveavatar.errors import PortraitError
from liveavatar.generate import render
from liveavatar.timeline import parse_fps


class Language(StrEnum):
    """Languages of the speech that comes with the package."""

    EN = "en"
    ZH = "zh"


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The video to write.")] = Path(
        "out/demo.mp4"
    ),
    lang: Annotated[Language, typer.Option(help="en speaks English, zh Mandarin.")] = Language.EN,
) -> None:
    """Make Grace Hopper's portrait (public domain, from matplotlib) speak for ten seconds."""
    output.parent.mkdir(parents=True, exist_ok=True)
    actor = prepare(portrait_path(), open_engine("mesh"), None, None)
    fps = parse_fps(25)
    speech = resources.files("liveavatar") / "assets" / f"demo_{lang}.ogg"
    with resources.as_file(speech) as audio, frame_bar(fps) as progress:
        result = render(actor, audio, output, fps=fps, seed=0, policy="fix", progress=progress, heard=tell)
    print(summary(result))


def portrait_path() -> Path:
    """The photograph inside the installed matplotlib.

    Raises:
        PortraitError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise PortraitError("the demo's photograph comes with matplotlib", "pip install 'liveavatar[demo]'")
    return Path(str(resources.files("matplotlib") / "mpl-data" / "sample_data" / "grace_hopper.jpg"))

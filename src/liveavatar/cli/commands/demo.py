"""`liveavatar demo`: render a portrait speaking; needs no arguments."""

from enum import StrEnum
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from liveavatar.cli.commands.generate import Label, Watermark, prepare_actor
from liveavatar.cli.output import print_message, print_repairs
from liveavatar.cli.process.paths import PATH_METAVAR, parse_path
from liveavatar.cli.progress import format_result, show_frame_bar
from liveavatar.engines import ENGINE_SOURCE_TYPES, EngineOptions, open_engine
from liveavatar.errors import PortraitError
from liveavatar.files import check_output_path, create_folder
from liveavatar.generate import render_video
from liveavatar.provenance.label.visible_label import AUTO_LABEL
from liveavatar.provenance.policy import MarkPolicy, check_mark_policy
from liveavatar.timeline import parse_fps
from liveavatar.video.formats import choose_format


class DemoLanguage(StrEnum):
    """Languages of the speech in the package."""

    EN = "en"
    ZH = "zh"


class DemoEngine(StrEnum):
    """Engines that can draw the demo's portrait on any machine."""

    MESH = "mesh"
    DIT = "dit"


_ENGINE_CHOICES: dict[DemoEngine, EngineOptions] = {DemoEngine.MESH: {}, DemoEngine.DIT: {"preset": "small"}}


def demo(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The video to write.", parser=parse_path, metavar=PATH_METAVAR),
    ] = Path("out/demo.mp4"),
    lang: Annotated[
        DemoLanguage, typer.Option(help="The speech: en English, zh Mandarin.")
    ] = DemoLanguage.EN,
    engine: Annotated[
        DemoEngine,
        typer.Option(
            help="mesh, or dit: a small diffusion model that has learned this portrait (pip install 'liveavatar[dit]')."
        ),
    ] = DemoEngine.MESH,
    label: Label = AUTO_LABEL,
    watermark: Watermark = True,
) -> None:
    """Render ten seconds of a portrait of Grace Hopper (public domain, from matplotlib) speaking."""
    choose_format(output)
    marks = MarkPolicy(label=label, watermark=watermark, source_type=ENGINE_SOURCE_TYPES[engine])
    check_mark_policy(marks)
    create_folder(output.parent)
    check_output_path(output)
    actor = prepare_actor(find_demo_portrait(), open_engine(engine, _ENGINE_CHOICES[engine]), None, None)
    fps = parse_fps(25)
    speech = resources.files("liveavatar") / "assets" / f"demo_{lang}.ogg"
    with resources.as_file(speech) as audio, show_frame_bar(fps) as progress:
        result = render_video(
            actor,
            audio,
            output,
            fps=fps,
            seed=0,
            policy="fix",
            marks=marks,
            on_progress=progress,
            on_report=print_repairs,
        )
    print_message(result.marks.sentence)
    print(format_result(result))


def find_demo_portrait() -> Path:
    """Find the photograph in the installed matplotlib.

    Raises:
        PortraitError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise PortraitError("the demo's photograph comes with matplotlib", "pip install 'liveavatar[demo]'")
    return Path(str(resources.files("matplotlib") / "mpl-data" / "sample_data" / "grace_hopper.jpg"))

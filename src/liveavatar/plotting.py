"""Figures in one style, drawn by matplotlib (extra "plot") and written as PNG. No display and no pyplot state."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from liveavatar.errors import OptionError
from liveavatar.files import NO_INPUTS, atomic_write, check_output_path, describe_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 100
"""Pixels per inch of every figure. Layouts are given in pixels."""

INK, MUTED, GRID, PAPER = "#202428", "#6b7280", "#e5e7eb", "#ffffff"
"""Colours of text, of labels, of grid lines and of the background."""

BLUE, GREEN, AMBER, RED = "#2563eb", "#2f9e6b", "#d98a00", "#dc2828"
"""Colours of curves and areas."""

LEVEL_COLOURS = {"ok": GREEN, "warn": AMBER, "bad": RED}
"""Colour of each `FindingLevel`."""

SMALL, MEDIUM = 8.5, 10.0
"""Font sizes in points: tick labels, and everything else but titles."""

_TITLE_PIXELS = 20
_TITLE_WEIGHT = 500  # of OpenCV's variable font: 400 is regular, 800 is bold


def check_plot_path(output: Path, inputs: Mapping[str, Path] = NO_INPUTS) -> None:
    """Check before any work that a plot can be drawn and written under this name.

    Raises:
        OptionError: the name does not end in .png, or matplotlib is not installed.
        OutputError: see `check_output_path`.
    """
    check_output_path(output, inputs)
    if output.suffix.lower() != ".png":
        name = describe_path(output)
        raise OptionError(
            f"{name} does not end in .png", f"name it {describe_path(output.with_suffix('.png'))}"
        )
    if find_spec("matplotlib") is None:
        raise OptionError("matplotlib is not installed", "run: pip install 'liveavatar[plot]'")


def create_figure(width: int, height: int) -> "Figure":
    """An empty figure of `width` by `height` pixels."""
    from matplotlib.figure import Figure

    size = (width / DOTS_PER_INCH, height / DOTS_PER_INCH)
    return Figure(figsize=size, dpi=DOTS_PER_INCH, facecolor=PAPER)


def add_axes(figure: "Figure", left: int, top: int, width: int, height: int) -> "Axes":
    """Axes that fill a rectangle of pixels, measured from the upper left corner of the figure."""
    across, down = figure.get_size_inches() * DOTS_PER_INCH
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    axes.tick_params(colors=MUTED, labelsize=SMALL, length=3)
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    return axes


def write_text(
    figure: "Figure", text: str, left: int, baseline: int, colour: str = INK, align: str = "left"
) -> None:
    """Write a line of plain text at a place in pixels, measured from the upper left corner. `$` has no meaning."""
    across, down = figure.get_size_inches() * DOTS_PER_INCH
    figure.text(
        left / across, 1 - baseline / down, text, color=colour, fontsize=MEDIUM, ha=align, parse_math=False
    )


def write_title(figure: "Figure", title: str, left: int, baseline: int, colour: str = INK) -> None:
    """Write a title at a place in pixels, measured from the upper left corner; file names of any script can be read.

    OpenCV draws it: the font built into it has Chinese, Japanese and Korean glyphs, matplotlib's font has none.
    """
    from matplotlib.colors import to_rgb

    height, width = (int(size) for size in figure.get_size_inches()[::-1] * DOTS_PER_INCH)
    mask = np.zeros((2 * _TITLE_PIXELS, width - left), np.uint8)
    printable = title.encode("utf-8", "replace").decode()
    origin = (0, round(1.4 * _TITLE_PIXELS))
    cv2.putText(mask, printable, origin, (255,), cv2.FontFace("uni"), _TITLE_PIXELS, _TITLE_WEIGHT)
    pixels = np.empty((*mask.shape, 4))
    pixels[..., :3], pixels[..., 3] = to_rgb(colour), mask / 255
    figure.figimage(pixels, left, height - baseline - len(mask) + origin[1])


def save_figure(figure: "Figure", output: Path) -> None:
    """Write a figure as PNG; `output` appears complete or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_write(output) as part:
        figure.savefig(part, format="png", dpi=DOTS_PER_INCH, facecolor=PAPER)

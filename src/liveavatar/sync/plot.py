"""A plot of one measurement: opening of the lips, predicted opening, closures, and the offset over time."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from liveavatar.plotting import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    PAPER,
    SMALL,
    add_axes,
    check_plot_path,
    create_figure,
    save_figure,
    write_text,
    write_title,
)
from liveavatar.sync.measure import SyncMeasurement
from liveavatar.sync.offset import TRACK_RATE, Track
from liveavatar.sync.report import EARLY_LIMIT_MS, LATE_LIMIT_MS, SyncReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_SECONDS = 10
_MAX_ROWS = 12  # of longer videos, the first ten seconds of each of twelve equal parts

# Layout in pixels.
_LEFT_MARGIN, _RIGHT_MARGIN, _AXES_WIDTH = 70, 30, 1400
_HEADER_HEIGHT, _ROW_HEIGHT, _TICK_HEIGHT = 84, 118, 30
_OFFSETS_TITLE_HEIGHT, _OFFSETS_HEIGHT = 34, 190

_MET_COLOUR, _MISSED_COLOUR, _ALLOWED_COLOUR = "#d6e4ff", "#ffd2d2", "#e7f5ec"
_LEGEND = (
    ("lips", BLUE, PAPER),
    ("predicted from sound", GREEN, PAPER),
    ("closure met", _MET_COLOUR, _MET_COLOUR),
    ("closure missed", _MISSED_COLOUR, _MISSED_COLOUR),
)  # label, colours of the line and of the background
_LEGEND_WIDTH = 215  # of an entry
_TOP_PERCENTILE = 99  # of a curve: drawn at 1, outliers are cut
_MIN_OFFSET_REACH_MS = 150.0


def draw_sync_plot(measured: SyncMeasurement, report: SyncReport, output: Path) -> None:
    """Write a PNG.

    Raises:
        OptionError: the name does not end in .png, or matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    check_plot_path(output)
    starts = _choose_row_starts(len(measured.lip_opening) / TRACK_RATE)
    rows_height = len(starts) * (_ROW_HEIGHT + _TICK_HEIGHT)
    width = _LEFT_MARGIN + _AXES_WIDTH + _RIGHT_MARGIN
    offsets_top = _HEADER_HEIGHT + rows_height + _OFFSETS_TITLE_HEIGHT
    figure = create_figure(width, offsets_top + _OFFSETS_HEIGHT + _TICK_HEIGHT)
    _draw_header(figure, report)
    for number, start in enumerate(starts):
        top = _HEADER_HEIGHT + number * (_ROW_HEIGHT + _TICK_HEIGHT)
        _draw_row(add_axes(figure, _LEFT_MARGIN, top, _AXES_WIDTH, _ROW_HEIGHT), measured, start)
    write_text(figure, "offset, ms: above 0 the lips are late", _LEFT_MARGIN, offsets_top - 10, MUTED)
    axes = add_axes(figure, _LEFT_MARGIN, offsets_top, _AXES_WIDTH, _OFFSETS_HEIGHT)
    _draw_offsets(axes, measured, report)
    save_figure(figure, output)


def _choose_row_starts(length: float) -> list[float]:
    count = max(1, math.ceil(length / _ROW_SECONDS))
    if count <= _MAX_ROWS:
        return [k * float(_ROW_SECONDS) for k in range(count)]
    return [float(start) for start in np.linspace(0, length - _ROW_SECONDS, _MAX_ROWS)]


def _draw_header(figure: "Figure", report: SyncReport) -> None:
    write_title(figure, f"{report.file.name}: {report.verdict}", _LEFT_MARGIN, 28)
    low, high = report.offset_interval
    numbers = (
        f"offset {report.offset:+z.0f} ms ({low:+z.0f} to {high:+z.0f}), drift {report.drift:+z.0f} ms/min, "
        f"match {report.match:.2f} (needed {report.needed:.2f}), "
        f"closures met {report.closures_met}/{report.closures_heard}"
    )
    write_text(figure, numbers, _LEFT_MARGIN, 50, MUTED)
    for number, (label, line, fill) in enumerate(_LEGEND):
        left = _LEFT_MARGIN + number * _LEGEND_WIDTH
        key = add_axes(figure, left, 60, 24, 14)
        key.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], facecolor=fill)
        key.plot([0, 1], [0.4, 0.4], color=line, linewidth=2)
        write_text(figure, label, left + 32, 72, INK)


def _draw_row(axes: "Axes", measured: SyncMeasurement, start: float) -> None:
    """Ten seconds of both curves over bands for the closures."""
    begin = measured.start + start
    for closure, is_met in measured.closures.events:
        if closure.end > begin and closure.start < begin + _ROW_SECONDS:
            axes.axvspan(closure.start, closure.end, color=_MET_COLOUR if is_met else _MISSED_COLOUR)
    lips = np.where(measured.face_mask, measured.lip_opening, np.nan)
    span = slice(round(start * TRACK_RATE), round((start + _ROW_SECONDS) * TRACK_RATE))
    for track, colour in ((lips, BLUE), (measured.expected_opening, GREEN)):
        values = _scale_curve(track)[span]
        axes.plot(begin + np.arange(len(values)) / TRACK_RATE, values, color=colour, linewidth=1.4)
    axes.set(xlim=(begin, begin + _ROW_SECONDS), ylim=(-0.05, 1.15), yticks=[])
    axes.set_xticks(np.arange(math.ceil(begin), begin + _ROW_SECONDS + 1e-6))
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.grid(axis="x", color=GRID)


def _scale_curve(track: Track) -> Track:
    top = float(np.nanpercentile(track, _TOP_PERCENTILE))
    return np.clip(track / max(top, 1e-6), -0.05, 1.1)


def _draw_offsets(axes: "Axes", measured: SyncMeasurement, report: SyncReport) -> None:
    """Offsets of the windows, the line through them, and the band in which lips count as in step."""
    ends = measured.start + np.array([0.0, max(len(measured.lip_opening) / TRACK_RATE, 1e-6)])
    axes.axhspan(EARLY_LIMIT_MS, LATE_LIMIT_MS, color=_ALLOWED_COLOUR)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.plot(ends, -1000 * measured.alignment.line.lag_at(ends), color=GREEN, linewidth=1.6)
    times, offsets, matches = _split_windows(report)
    is_trusted = matches > report.needed
    axes.scatter(times[is_trusted], offsets[is_trusted], 28, BLUE, zorder=3)
    axes.scatter(times[~is_trusted], offsets[~is_trusted], 28, MUTED, zorder=3)
    reach = max(_MIN_OFFSET_REACH_MS, 1.2 * float(np.abs(offsets).max(initial=0.0)))
    axes.set(xlim=tuple(ends), ylim=(-reach, reach))
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.yaxis.set_major_formatter("{x:+z.0f}")
    axes.grid(axis="y", color=GRID)
    axes.text(0.995, EARLY_LIMIT_MS, "in step", color=MUTED, fontsize=SMALL, ha="right", va="bottom",
              transform=axes.get_yaxis_transform())  # fmt: skip


def _split_windows(report: SyncReport) -> tuple[NDArray[np.float64], ...]:
    return tuple(np.array(report.windows, np.float64).reshape(-1, 3).T)

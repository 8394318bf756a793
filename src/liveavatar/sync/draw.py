"""A picture of one measurement: lips, what the sound expects of them, closures, and the offset over time."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import OptionError
from liveavatar.files import whole
from liveavatar.sync.measure import Measured
from liveavatar.sync.offset import RATE, Track
from liveavatar.sync.report import EARLIEST, LATEST, SyncReport

_SECONDS = 10
"""Seconds in a row."""
_ROWS = 12
"""Rows at most: of longer videos, the first of each of twelve equal parts."""
_WIDTH, _ROW, _OFFSETS, _TOP, _LEFT = 1500, 150, 220, 64, 60
_INK, _PALE, _GRID = (40, 40, 40), (150, 150, 150), (228, 228, 228)
_LIPS, _SOUND, _MET, _MISSED = (
    (200, 90, 20),
    (60, 140, 40),
    (230, 205, 170),
    (190, 190, 255),
)  # blue, green, red

Canvas = NDArray[np.uint8]


def draw(measured: Measured, report: SyncReport, output: Path) -> None:
    """Write a PNG.

    Raises:
        OptionError: the name does not end in .png.
        OutputError: the file cannot be written.
    """
    check_plot(output)
    starts = _row_starts(len(measured.lips) / RATE)
    canvas = np.full((_TOP + len(starts) * _ROW + _OFFSETS, _WIDTH, 3), 255, np.uint8)
    _head(canvas, report)
    for number, start in enumerate(starts):
        _row(canvas[_TOP + number * _ROW : _TOP + (number + 1) * _ROW], measured, start)
    _offsets(canvas[-_OFFSETS:], measured, report)
    with whole(output) as part:
        part.write_bytes(cv2.imencode(".png", canvas)[1].tobytes())


def check_plot(output: Path) -> None:
    """Refuse a name that `draw` would, before any work is done."""
    if output.suffix.lower() != ".png":
        raise OptionError(f"{output} does not end in .png", f"name it {output.with_suffix('.png')}")


def _row_starts(length: float) -> list[float]:
    count = max(1, int(np.ceil(length / _SECONDS)))
    if count <= _ROWS:
        return [k * float(_SECONDS) for k in range(count)]
    return [float(start) for start in np.linspace(0, length - _SECONDS, _ROWS)]


def _head(canvas: Canvas, report: SyncReport) -> None:
    _write(canvas, f"{report.file.name}: {report.verdict}", (_LEFT, 26), _INK, 0.75)
    numbers = (
        f"offset {report.offset:+.0f} ms ({report.offset_interval[0]:+.0f} to {report.offset_interval[1]:+.0f}), "
        f"drift {report.drift:+.0f} ms/min, match {report.match:.2f} (needed {report.needed:.2f}), "
        f"closures met {report.closures_met}/{report.closures_heard}"
    )
    _write(canvas, numbers, (_LEFT, 50), _INK, 0.5)
    _write(canvas, "lips", (_WIDTH - 330, 26), _LIPS, 0.5)
    _write(canvas, "expected from sound", (_WIDTH - 280, 26), _SOUND, 0.5)
    _write(canvas, "closures met / missed: bands", (_WIDTH - 330, 50), _PALE, 0.5)


def _row(row: Canvas, measured: Measured, start: float) -> None:
    for second in range(_SECONDS + 1):
        x = _x(second / _SECONDS)
        cv2.line(row, (x, 6), (x, _ROW - 18), _GRID, 1)
        _write(row, f"{measured.start + start + second:.0f}", (x - 6, _ROW - 4), _PALE, 0.38)
    for closure, met in measured.closures.events:
        left, right = ((t - measured.start - start) / _SECONDS for t in (closure.start, closure.end))
        if right > 0 and left < 1:
            corners = (_x(max(left, 0)), 8), (_x(min(right, 1)), _ROW - 20)
            cv2.rectangle(row, *corners, _MET if met else _MISSED, -1)
    span = slice(round(start * RATE), round((start + _SECONDS) * RATE))
    lips = np.where(measured.present, measured.lips, np.nan)
    _curve(row, lips[span], float(np.nanpercentile(lips, 99)), _LIPS)
    _curve(row, measured.expected[span], float(np.percentile(measured.expected, 99)), _SOUND)


def _curve(row: Canvas, values: Track, top: float, colour: tuple[int, int, int]) -> None:
    height = _ROW - 30
    level = np.clip(values / max(top, 1e-6), -0.05, 1.1)
    known = np.flatnonzero(~np.isnan(level))
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        x = _LEFT + run / (_SECONDS * RATE) * (_WIDTH - 2 * _LEFT)
        y = 10 + height * (1 - level[run] / 1.1)
        points = np.round(np.stack([x, y], axis=1) * 16).astype(np.int32)
        cv2.polylines(row, [points.reshape(-1, 1, 2)], False, colour, 2, cv2.LINE_AA, 4)


def _offsets(part: Canvas, measured: Measured, report: SyncReport) -> None:
    """Offset of each window over the whole time, the allowed band, and the line."""
    length = max(len(measured.lips) / RATE, 1e-6)
    reach = max([150.0, *(1.2 * abs(offset) for _, offset, _ in report.windows)])
    height = _OFFSETS - 40

    def y(offset: float) -> int:
        return round(20 + height * (0.5 - offset / (2 * reach)))

    cv2.rectangle(part, (_LEFT, y(LATEST)), (_WIDTH - _LEFT, y(EARLIEST)), (235, 245, 235), -1)
    for offset in (-reach / 1.2, 0.0, reach / 1.2):
        cv2.line(part, (_LEFT, y(offset)), (_WIDTH - _LEFT, y(offset)), _GRID, 1)
        _write(part, f"{offset:+.0f}", (6, y(offset) + 4), _PALE, 0.4)
    _write(part, "offset in ms, up is late", (_LEFT, 14), _PALE, 0.42)
    ends = [-1000 * float(measured.alignment.line.at(np.array(measured.start + t))) for t in (0.0, length)]
    cv2.line(part, (_x(0), y(ends[0])), (_x(1), y(ends[1])), _SOUND, 1, cv2.LINE_AA)
    for time, offset, match in report.windows:
        centre = (_x((time - measured.start) / length), y(offset))
        cv2.circle(part, centre, 4, _LIPS if match > report.needed else _PALE, -1, cv2.LINE_AA)


def _x(share: float) -> int:
    return round(_LEFT + share * (_WIDTH - 2 * _LEFT))


def _write(canvas: Canvas, text: str, at: tuple[int, int], colour: tuple[int, int, int], size: float) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)

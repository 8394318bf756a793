"""A picture of one measurement: lips, what the sound expects of them, closures, and the offset over time."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import OptionError
from liveavatar.files import atomic_write
from liveavatar.sync.measure import SyncMeasurement
from liveavatar.sync.offset import TRACK_RATE, Track
from liveavatar.sync.report import EARLY_LIMIT_MS, LATE_LIMIT_MS, SyncReport

_ROW_SECONDS = 10
"""Seconds in a row."""
_MAX_ROWS = 12
"""Rows at most: of longer videos, the first of each of twelve equal parts."""
_CANVAS_WIDTH, _ROW_HEIGHT, _OFFSETS_HEIGHT, _HEADER_HEIGHT, _SIDE_MARGIN = 1500, 150, 220, 64, 60
_TEXT_COLOUR, _PALE_COLOUR, _GRID_COLOUR = (40, 40, 40), (150, 150, 150), (228, 228, 228)
_LIPS_COLOUR, _SOUND_COLOUR, _MET_COLOUR, _MISSED_COLOUR = (
    (200, 90, 20),
    (60, 140, 40),
    (230, 205, 170),
    (190, 190, 255),
)  # blue, green, red

Canvas = NDArray[np.uint8]


def draw_sync_plot(measured: SyncMeasurement, report: SyncReport, output: Path) -> None:
    """Write a PNG.

    Raises:
        OptionError: the name does not end in .png.
        OutputError: the file cannot be written.
    """
    check_plot_path(output)
    starts = _choose_row_starts(len(measured.lip_opening) / TRACK_RATE)
    canvas = np.full(
        (_HEADER_HEIGHT + len(starts) * _ROW_HEIGHT + _OFFSETS_HEIGHT, _CANVAS_WIDTH, 3), 255, np.uint8
    )
    _draw_header(canvas, report)
    for number, start in enumerate(starts):
        _draw_row(
            canvas[_HEADER_HEIGHT + number * _ROW_HEIGHT : _HEADER_HEIGHT + (number + 1) * _ROW_HEIGHT],
            measured,
            start,
        )
    _draw_offsets(canvas[-_OFFSETS_HEIGHT:], measured, report)
    with atomic_write(output) as part:
        part.write_bytes(cv2.imencode(".png", canvas)[1].tobytes())


def check_plot_path(output: Path) -> None:
    """Refuse a name that `draw` would, before any work is done."""
    if output.suffix.lower() != ".png":
        raise OptionError(f"{output} does not end in .png", f"name it {output.with_suffix('.png')}")


def _choose_row_starts(length: float) -> list[float]:
    count = max(1, int(np.ceil(length / _ROW_SECONDS)))
    if count <= _MAX_ROWS:
        return [k * float(_ROW_SECONDS) for k in range(count)]
    return [float(start) for start in np.linspace(0, length - _ROW_SECONDS, _MAX_ROWS)]


def _draw_header(canvas: Canvas, report: SyncReport) -> None:
    _draw_text(canvas, f"{report.file.name}: {report.verdict}", (_SIDE_MARGIN, 26), _TEXT_COLOUR, 0.75)
    numbers = (
        f"offset {report.offset:+.0f} ms ({report.offset_interval[0]:+.0f} to {report.offset_interval[1]:+.0f}), "
        f"drift {report.drift:+.0f} ms/min, match {report.match:.2f} (needed {report.needed:.2f}), "
        f"closures met {report.closures_met}/{report.closures_heard}"
    )
    _draw_text(canvas, numbers, (_SIDE_MARGIN, 50), _TEXT_COLOUR, 0.5)
    _draw_text(canvas, "lips", (_CANVAS_WIDTH - 330, 26), _LIPS_COLOUR, 0.5)
    _draw_text(canvas, "expected from sound", (_CANVAS_WIDTH - 280, 26), _SOUND_COLOUR, 0.5)
    _draw_text(canvas, "closures met / missed: bands", (_CANVAS_WIDTH - 330, 50), _PALE_COLOUR, 0.5)


def _draw_row(row: Canvas, measured: SyncMeasurement, start: float) -> None:
    for second in range(_ROW_SECONDS + 1):
        x = _share_to_x(second / _ROW_SECONDS)
        cv2.line(row, (x, 6), (x, _ROW_HEIGHT - 18), _GRID_COLOUR, 1)
        _draw_text(
            row, f"{measured.start + start + second:.0f}", (x - 6, _ROW_HEIGHT - 4), _PALE_COLOUR, 0.38
        )
    for closure, met in measured.closures.events:
        left, right = ((t - measured.start - start) / _ROW_SECONDS for t in (closure.start, closure.end))
        if right > 0 and left < 1:
            corners = (_share_to_x(max(left, 0)), 8), (_share_to_x(min(right, 1)), _ROW_HEIGHT - 20)
            cv2.rectangle(row, *corners, _MET_COLOUR if met else _MISSED_COLOUR, -1)
    span = slice(round(start * TRACK_RATE), round((start + _ROW_SECONDS) * TRACK_RATE))
    lips = np.where(measured.face_mask, measured.lip_opening, np.nan)
    _draw_curve(row, lips[span], float(np.nanpercentile(lips, 99)), _LIPS_COLOUR)
    _draw_curve(
        row,
        measured.expected_opening[span],
        float(np.percentile(measured.expected_opening, 99)),
        _SOUND_COLOUR,
    )


def _draw_curve(row: Canvas, values: Track, top: float, colour: tuple[int, int, int]) -> None:
    height = _ROW_HEIGHT - 30
    level = np.clip(values / max(top, 1e-6), -0.05, 1.1)
    known = np.flatnonzero(~np.isnan(level))
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        x = _SIDE_MARGIN + run / (_ROW_SECONDS * TRACK_RATE) * (_CANVAS_WIDTH - 2 * _SIDE_MARGIN)
        y = 10 + height * (1 - level[run] / 1.1)
        points = np.round(np.stack([x, y], axis=1) * 16).astype(np.int32)
        cv2.polylines(row, [points.reshape(-1, 1, 2)], False, colour, 2, cv2.LINE_AA, 4)


def _draw_offsets(part: Canvas, measured: SyncMeasurement, report: SyncReport) -> None:
    """Offset of each window over the whole time, the allowed band, and the line."""
    length = max(len(measured.lip_opening) / TRACK_RATE, 1e-6)
    reach = max([150.0, *(1.2 * abs(offset) for _, offset, _ in report.windows)])
    height = _OFFSETS_HEIGHT - 40

    def offset_to_y(offset: float) -> int:
        return round(20 + height * (0.5 - offset / (2 * reach)))

    cv2.rectangle(
        part,
        (_SIDE_MARGIN, offset_to_y(LATE_LIMIT_MS)),
        (_CANVAS_WIDTH - _SIDE_MARGIN, offset_to_y(EARLY_LIMIT_MS)),
        (235, 245, 235),
        -1,
    )
    for offset in (-reach / 1.2, 0.0, reach / 1.2):
        cv2.line(
            part,
            (_SIDE_MARGIN, offset_to_y(offset)),
            (_CANVAS_WIDTH - _SIDE_MARGIN, offset_to_y(offset)),
            _GRID_COLOUR,
            1,
        )
        _draw_text(part, f"{offset:+.0f}", (6, offset_to_y(offset) + 4), _PALE_COLOUR, 0.4)
    _draw_text(part, "offset in ms, up is late", (_SIDE_MARGIN, 14), _PALE_COLOUR, 0.42)
    ends = [
        -1000 * float(measured.alignment.line.lag_at(np.array(measured.start + t))) for t in (0.0, length)
    ]
    cv2.line(
        part,
        (_share_to_x(0), offset_to_y(ends[0])),
        (_share_to_x(1), offset_to_y(ends[1])),
        _SOUND_COLOUR,
        1,
        cv2.LINE_AA,
    )
    for time, offset, match in report.windows:
        centre = (_share_to_x((time - measured.start) / length), offset_to_y(offset))
        cv2.circle(part, centre, 4, _LIPS_COLOUR if match > report.needed else _PALE_COLOUR, -1, cv2.LINE_AA)


def _share_to_x(share: float) -> int:
    return round(_SIDE_MARGIN + share * (_CANVAS_WIDTH - 2 * _SIDE_MARGIN))


def _draw_text(
    canvas: Canvas, text: str, at: tuple[int, int], colour: tuple[int, int, int], size: float
) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)

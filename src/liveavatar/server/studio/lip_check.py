"""The check of a finished video's lips, for its page."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from liveavatar.errors import VideoError
from liveavatar.sync.measure import measure_sync
from liveavatar.sync.plot import draw_sync_plot
from liveavatar.sync.report import build_sync_report

_SHOWN = (
    "verdict",
    "sentence",
    "offset",
    "offset_interval",
    "match",
    "needed",
    "closures_heard",
    "closures_met",
)


def check_lips(video: Path, plot: Path, name: str) -> dict[str, Any]:
    """The verdict on a video and its numbers; the plot calls the video `name`. Without a verdict, `problem` says why.

    Raises:
        OutputError: the plot cannot be written.
    """
    try:
        measured = measure_sync(video)
    except VideoError as error:
        return {"verdict": None, "problem": error.problem}
    report = build_sync_report(measured)
    values = asdict(report)
    draw_sync_plot(measured, replace(report, file=Path(name)), plot)
    return {key: values[key] for key in _SHOWN}

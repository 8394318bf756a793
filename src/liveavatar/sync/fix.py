"""Removes the offset and the drift of a video by moving its sound."""

from pathlib import Path

from liveavatar.errors import VideoError
from liveavatar.files import describe_path
from liveavatar.sync.measure import SyncMeasurement
from liveavatar.sync.report import SyncReport
from liveavatar.video.remux import shift_sound


def fix_sync(measured: SyncMeasurement, report: SyncReport, output: Path) -> None:
    """Write `output` with the lips in step; drift is removed only from a video that drifts. Pictures are copied.

    Raises:
        VideoError: lips and sound do not match, or the offset is not known well enough.
        OptionError, OutputError, AudioError: see `shift_sound`.
    """
    name = describe_path(report.file.name)
    if report.verdict == "not the same speech":
        raise VideoError(f"{name} cannot be fixed: {report.sentence}", "use the sound that belongs to it")
    if not report.confident:
        low, high = report.offset_interval
        raise VideoError(
            f"{name}: the offset lies anywhere from {low:+.0f} to {high:+.0f} ms, and the match is {report.match:.2f} "
            f"where chance reaches {report.needed:.2f}",
            "use a longer video, or one with more pictures a second",
        )
    if report.verdict == "drifting":
        line = measured.alignment.line
        shift_sound(report.file, output, line.lag_at_zero, line.slope, measured.sound_track)
    else:
        shift_sound(report.file, output, measured.alignment.offset, track=measured.sound_track)

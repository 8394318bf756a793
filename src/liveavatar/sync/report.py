"""The report on one video: a verdict, the numbers behind it, and what fixes it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from liveavatar.files import format_command, shorten_name
from liveavatar.sync.measure import SyncMeasurement
from liveavatar.sync.offset import ConfidenceInterval
from liveavatar.sync.uncertainty import compute_frame_tolerance, compute_match_loss, widen_interval

Verdict = Literal["in step", "late", "early", "drifting", "uncertain", "not the same speech"]

LATE_LIMIT_MS, EARLY_LIMIT_MS = 40.0, -60.0
"""How late and how early lips may be: the tolerance of EBU R 37 for a whole broadcast chain. Sound before the picture
disturbs more than sound after it. Lips in step may exceed them by `compute_frame_tolerance` if pictures are slower than
25 a second."""

MAX_UNCERTAINTY_MS = 45.0
"""Largest distance of an offset from the ends of its interval with which `--fix` moves the sound."""

_MIN_MATCH = 0.25
_CHANCE_MATCH = 1.2
"""Unrelated speech matches by up to about this, divided by the square root of the seconds."""
_OWN_MATCH = 0.5
"""Lips match their own speech by at least this: a real face by 0.6, our renders by 0.7. In short videos chance reaches
more, so that a match between both tells nothing."""
_LARGE_DRIFT_SECONDS = 0.1
"""Drift over the whole video from which the match must be higher by the factor that follows. Many such lines are tried,
so that one may match unrelated speech."""
_LARGE_DRIFT_FACTOR = 1.3
_CLEAR_FACTOR = 1.1
"""Factor above the needed match from which an offset is trusted. A match closer to chance may be a wrong peak."""
_MINUTE_MS = 60_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """One video.

    Offsets are in milliseconds, positive if the lips come after the sound ("late"); `drift` is in milliseconds a
    minute, positive if the lips fall behind. Intervals cover 95 %. `offset` is that of the middle of the video,
    `offset_by_loudness` the same without the articulation network. `match` is the correlation of measured and predicted
    lips along the best line; below `needed` it may be chance. The interval of the offset knows the frame rate and the
    match; `confident` says that it is narrow and the match clear of chance. The verdict is "late" or "early" only if
    the whole interval is, and "in step" only with confidence; otherwise it is "uncertain". `windows` lists time,
    offset and match of parts.
    """

    file: Path
    verdict: Verdict
    sentence: str
    remedy: str
    confident: bool
    offset: float
    offset_interval: tuple[float, float]
    offset_by_loudness: float
    drift: float
    drift_interval: tuple[float, float]
    match: float
    needed: float
    closures_heard: int
    closures_met: int
    closures_by_chance: float
    closures_source: str
    energy_correlation: float
    silent_shut: float | None
    seconds: float
    windows: tuple[tuple[float, float, float], ...]

    @property
    def needs_work(self) -> bool:
        """Whether something to repair was found; what is uncertain is none."""
        return self.verdict not in ("in step", "uncertain")

    @property
    def closures_share(self) -> float | None:
        """Share of the closures in the sound that the video shows within one frame; None without closures."""
        return self.closures_met / self.closures_heard if self.closures_heard else None


def build_sync_report(measured: SyncMeasurement) -> SyncReport:
    """The verdict on a measurement, and its numbers."""
    found = measured.alignment
    offset, drift = -1000 * found.offset + 0.0, -_MINUTE_MS * found.line.slope + 0.0  # never -0
    frame_seconds = measured.lip_track.frame_seconds
    interval = widen_interval(found, measured.face_seconds, frame_seconds)
    low, high = _lag_to_lateness(interval, 1000)
    drift_interval = _lag_to_lateness(found.drift_interval, _MINUTE_MS)
    needed = _compute_needed_match(measured)
    is_clear = found.match >= _CLEAR_FACTOR * needed
    confident = is_clear and max(offset - low, high - offset) <= MAX_UNCERTAINTY_MS
    if found.match < min(needed, _OWN_MATCH) * compute_match_loss(frame_seconds):
        verdict: Verdict = "not the same speech"
    elif is_clear and is_drifting(measured, drift_interval):
        verdict = "drifting"
    else:
        verdict = _judge_offset(offset, (low, high), frame_seconds, is_clear, confident)
    return SyncReport(
        file=measured.path,
        verdict=verdict,
        sentence=_describe_verdict(verdict, offset, (low, high), drift, is_clear),
        remedy=_suggest_remedy(verdict, measured.path, confident, measured.sound_track),
        confident=confident,
        offset=offset,
        offset_interval=(low, high),
        offset_by_loudness=-1000 * measured.loudness_offset,
        drift=drift,
        drift_interval=drift_interval,
        match=found.match,
        needed=needed,
        closures_heard=measured.closures.closure_count,
        closures_met=measured.closures.met_count,
        closures_by_chance=measured.closures.chance_share,
        closures_source=measured.closures.source,
        energy_correlation=measured.energy_correlation,
        silent_shut=measured.silent_shut,
        seconds=measured.face_seconds,
        windows=tuple((t, -1000 * lag, match) for t, lag, match in found.windows.tolist()),
    )


def _compute_needed_match(measured: SyncMeasurement) -> float:
    """The match above which lips and sound are of the same speech."""
    needed = max(_MIN_MATCH, _CHANCE_MATCH / math.sqrt(measured.face_seconds))
    has_large_drift = abs(measured.alignment.line.slope) * measured.face_seconds > _LARGE_DRIFT_SECONDS
    return needed * _LARGE_DRIFT_FACTOR if has_large_drift else needed


def is_drifting(measured: SyncMeasurement, drift_interval: tuple[float, float]) -> bool:
    """Whether the drift differs from 0 with confidence, and exceeds the tolerance over the video."""
    line, length = measured.alignment.line, float(measured.lip_track.times[-1] - measured.start)
    is_certain = drift_interval[0] > 0 or drift_interval[1] < 0
    return is_certain and abs(line.slope) * length * 1000 > LATE_LIMIT_MS


def _judge_offset(
    offset: float, interval: tuple[float, float], frame_seconds: float, is_clear: bool, confident: bool
) -> Verdict:
    """The verdict on a steady offset in ms, which is known to be in `interval` if the match `is_clear` of chance."""
    if is_clear and interval[0] > LATE_LIMIT_MS:
        return "late"
    if is_clear and interval[1] < EARLY_LIMIT_MS:
        return "early"
    tolerance = 1000 * compute_frame_tolerance(frame_seconds)
    is_within = EARLY_LIMIT_MS - tolerance <= offset <= LATE_LIMIT_MS + tolerance
    return "in step" if confident and is_within else "uncertain"


def _lag_to_lateness(interval: ConfidenceInterval, unit: float) -> tuple[float, float]:
    """An interval of lags in seconds as one of lateness in milliseconds, or in milliseconds a minute."""
    return -unit * interval.high + 0.0, -unit * interval.low + 0.0


def _describe_verdict(
    verdict: Verdict, offset: float, interval: tuple[float, float], drift: float, is_clear: bool
) -> str:
    match verdict:
        case "not the same speech":
            return "the lips do not match the speech"
        case "drifting":
            direction = "fall behind" if drift > 0 else "run ahead of"
            return f"the lips {direction} the sound by {abs(drift):.0f} ms a minute"
        case "late":
            return f"the lips come {offset:.0f} ms after the sound"
        case "early":
            return f"the lips come {-offset:.0f} ms before the sound"
        case "uncertain":
            return f"the lips may be in step or not: they {_describe_doubt(interval, is_clear)}"
        case "in step":
            return f"lips and sound are within {abs(offset):.0f} ms"


def _describe_doubt(interval: tuple[float, float], is_clear: bool) -> str:
    if not is_clear:
        return "match the sound little better than chance"
    low, high = map(_describe_lateness, interval)
    return f"come from {low} to {high} the sound"


def _describe_lateness(offset: float) -> str:
    return f"{abs(offset):.0f} ms {'before' if offset < 0 else 'after'}"


def _suggest_remedy(verdict: Verdict, path: Path, confident: bool, track: int | None) -> str:
    if verdict == "in step":
        return ""
    if verdict == "not the same speech":
        return "use the sound that belongs to this face, or generate the video again"
    if verdict == "uncertain" or not confident:
        return "use a longer part of the video, or one with more pictures a second: the offset is not certain"
    fixed = path.with_name(shorten_name(path.stem, "-in-step.mp4"))
    choice = ["--track", str(track)] if track else []
    return format_command("liveavatar", "sync", path, "--fix", fixed, *choice)

"""What is said about a video: one verdict, the numbers behind it, and what mends it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from liveavatar.sync.measure import SyncMeasurement
from liveavatar.sync.offset import ConfidenceInterval

Verdict = Literal["in step", "late", "early", "drifting", "not the same speech"]

LATE_LIMIT_MS, EARLY_LIMIT_MS = 40.0, -60.0
"""Milliseconds by which lips may be late and early: what EBU R 37 allows a whole broadcast chain, where sound before
the picture disturbs more than sound after it."""

MAX_UNCERTAINTY_MS = 45.0
"""Milliseconds: with an interval up to this wide, to either side, an offset may be mended."""

_MIN_MATCH = 0.25
_CHANCE_MATCH = 1.2
"""Unrelated speech matches by up to about this over the square root of the seconds."""
_LARGE_DRIFT_SECONDS = 0.1
"""Seconds of drift over the whole video from which more is needed, by the factor that follows."""
_LARGE_DRIFT_FACTOR = 1.3
_MINUTE_MS = 60_000.0  # milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """One video. Offsets in milliseconds, positive when the lips come after the sound ("late"); `drift` in
    milliseconds a minute, positive when they fall behind. Intervals hold 95 %.

    `offset` belongs to the middle of the video; `offset_by_loudness` is the same without the articulation network.
    `match` is the correlation of lips and expected lips along the best line, of which `needed` would not be chance;
    `windows` lists time, offset and match of parts.
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
    def closures_share(self) -> float | None:
        """Share of the closures heard that are seen within one frame; None without any."""
        return self.closures_met / self.closures_heard if self.closures_heard else None


def build_sync_report(measured: SyncMeasurement) -> SyncReport:
    """Judge what was measured."""
    found = measured.alignment
    offset, drift = -1000 * found.offset, -_MINUTE_MS * found.line.slope
    around, drift_around = (
        _lag_to_lateness(found.offset_interval, 1000),
        _lag_to_lateness(found.drift_interval, _MINUTE_MS),
    )
    needed = _compute_needed_match(measured)
    verdict = _choose_verdict(measured, offset, drift_around, found.match >= needed)
    confident = (
        verdict != "not the same speech" and max(offset - around[0], around[1] - offset) <= MAX_UNCERTAINTY_MS
    )
    return SyncReport(
        file=measured.path,
        verdict=verdict,
        sentence=_describe_verdict(verdict, offset, drift),
        remedy=_suggest_remedy(verdict, measured.path, confident),
        confident=confident,
        offset=offset,
        offset_interval=around,
        offset_by_loudness=-1000 * measured.loudness_offset,
        drift=drift,
        drift_interval=drift_around,
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
    """The match from which it is no chance: drifting lines are many, and one of them may fit anything a little."""
    plain = max(_MIN_MATCH, _CHANCE_MATCH / math.sqrt(measured.face_seconds))
    bent = abs(measured.alignment.line.slope) * measured.face_seconds > _LARGE_DRIFT_SECONDS
    return plain * _LARGE_DRIFT_FACTOR if bent else plain


def is_drifting(measured: SyncMeasurement, drift_interval: tuple[float, float]) -> bool:
    """Whether lips surely drift, and by more over the video than they may be off."""
    line, length = measured.alignment.line, float(measured.lip_track.times[-1] - measured.start)
    sure = drift_interval[0] > 0 or drift_interval[1] < 0
    return sure and abs(line.slope) * length * 1000 > LATE_LIMIT_MS


def _choose_verdict(
    measured: SyncMeasurement, offset: float, drift_interval: tuple[float, float], is_same_speech: bool
) -> Verdict:
    if not is_same_speech:
        return "not the same speech"
    if is_drifting(measured, drift_interval):
        return "drifting"
    if offset > LATE_LIMIT_MS:
        return "late"
    return "early" if offset < EARLY_LIMIT_MS else "in step"


def _lag_to_lateness(interval: ConfidenceInterval, unit: float) -> tuple[float, float]:
    """An interval of lags as one of lateness."""
    return -unit * interval.high, -unit * interval.low


def _describe_verdict(verdict: Verdict, offset: float, drift: float) -> str:
    match verdict:
        case "not the same speech":
            return "the lips do not say what is heard"
        case "drifting":
            way = "fall behind" if drift > 0 else "run ahead of"
            return f"the lips {way} the sound by {abs(drift):.0f} ms a minute"
        case "late":
            return f"the lips come {offset:.0f} ms after the sound"
        case "early":
            return f"the lips come {-offset:.0f} ms before the sound"
        case "in step":
            return f"lips and sound are within {abs(offset):.0f} ms"


def _suggest_remedy(verdict: Verdict, path: Path, confident: bool) -> str:
    if verdict == "in step":
        return ""
    if verdict == "not the same speech":
        return "use the sound that belongs to this face, or generate the video again"
    if not confident:
        return "use a longer part of the video, the lips leave the offset open"
    return f'liveavatar sync "{path}" --fix "{path.with_name(path.stem + "-in-step.mp4")}"'

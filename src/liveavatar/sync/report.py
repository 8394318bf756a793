"""What is said about a video: one verdict, the numbers behind it, and what mends it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from liveavatar.sync.measure import Measured
from liveavatar.sync.offset import Interval

Verdict = Literal["in step", "late", "early", "drifting", "not the same speech"]

LATEST, EARLIEST = 40.0, -60.0
"""Milliseconds by which lips may be late and early: what EBU R 37 allows a whole broadcast chain, where sound before
the picture disturbs more than sound after it."""

SURE = 45.0
"""Milliseconds: with an interval up to this wide, to either side, an offset may be mended."""

_LEAST_MATCH = 0.25
_CHANCE = 1.2
"""Unrelated speech matches by up to about this over the square root of the seconds."""
_BENT = 0.1
"""Seconds of drift over the whole video from which more is needed, by the factor that follows."""
_BENT_COSTS = 1.3
_MINUTE = 60_000.0  # milliseconds


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


def report(measured: Measured) -> SyncReport:
    """Judge what was measured."""
    found = measured.alignment
    offset, drift = -1000 * found.offset, -_MINUTE * found.line.slope
    around, drift_around = _turned(found.offset_interval, 1000), _turned(found.drift_interval, _MINUTE)
    needed = _needed(measured)
    verdict = _verdict(measured, offset, drift_around, found.match >= needed)
    confident = verdict != "not the same speech" and max(offset - around[0], around[1] - offset) <= SURE
    return SyncReport(
        file=measured.path,
        verdict=verdict,
        sentence=_sentence(verdict, offset, drift),
        remedy=_remedy(verdict, measured.path, confident),
        confident=confident,
        offset=offset,
        offset_interval=around,
        offset_by_loudness=-1000 * measured.loudness_offset,
        drift=drift,
        drift_interval=drift_around,
        match=found.match,
        needed=needed,
        closures_heard=measured.closures.heard,
        closures_met=measured.closures.met,
        closures_by_chance=measured.closures.chance,
        closures_source=measured.closures.source,
        energy_correlation=measured.energy_correlation,
        silent_shut=measured.silent_shut,
        seconds=measured.seconds,
        windows=tuple((t, -1000 * lag, match) for t, lag, match in found.windows.tolist()),
    )


def _needed(measured: Measured) -> float:
    """The match from which it is no chance: drifting lines are many, and one of them may fit anything a little."""
    plain = max(_LEAST_MATCH, _CHANCE / math.sqrt(measured.seconds))
    bent = abs(measured.alignment.line.slope) * measured.seconds > _BENT
    return plain * _BENT_COSTS if bent else plain


def drifts(measured: Measured, drift_around: tuple[float, float]) -> bool:
    """Whether lips surely drift, and by more over the video than they may be off."""
    line, length = measured.alignment.line, float(measured.seen.times[-1] - measured.start)
    sure = drift_around[0] > 0 or drift_around[1] < 0
    return sure and abs(line.slope) * length * 1000 > LATEST


def _verdict(measured: Measured, offset: float, drift: tuple[float, float], same: bool) -> Verdict:
    if not same:
        return "not the same speech"
    if drifts(measured, drift):
        return "drifting"
    if offset > LATEST:
        return "late"
    return "early" if offset < EARLIEST else "in step"


def _turned(interval: Interval, unit: float) -> tuple[float, float]:
    """An interval of lags as one of lateness."""
    return -unit * interval.high, -unit * interval.low


def _sentence(verdict: Verdict, offset: float, drift: float) -> str:
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


def _remedy(verdict: Verdict, path: Path, confident: bool) -> str:
    if verdict == "in step":
        return ""
    if verdict == "not the same speech":
        return "use the sound that belongs to this face, or generate the video again"
    if not confident:
        return "use a longer part of the video, the lips leave the offset open"
    return f'liveavatar sync "{path}" --fix "{path.with_name(path.stem + "-in-step.mp4")}"'

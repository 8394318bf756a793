"""What reading with policy "fix" mends, and what it leaves."""

import math
from collections.abc import Iterator

from liveavatar.audio.level import TARGET, fixed_gain
from liveavatar.audio.quality import AudioReport
from liveavatar.report import Finding

MENDED = frozenset(
    {"samples", "header", "tracks", "gaps", "overlaps", "clock", "changes"}
    | {"phase", "balance", "offset", "level", "peak"}
)
"""Names of findings that are mended; the level only where the peaks leave room."""

_NEAR = 8.0  # dB below the target that is still loud enough


def left(report: AudioReport) -> Iterator[Finding]:
    """The findings that need somebody's hand."""
    for finding in report.findings:
        if finding.level != "ok" and not _is_mended(finding, report):
            yield finding


def _is_mended(finding: Finding, report: AudioReport) -> bool:
    if finding.name == "level" and report.mono.loudness < TARGET:
        return finding.level != "bad" and report.mono.loudness + _change(report) >= TARGET - _NEAR
    return finding.name in MENDED


def _change(report: AudioReport) -> float:
    """Decibels by which the level is changed."""
    return 20 * math.log10(fixed_gain(report.mono))


def mended(report: AudioReport) -> Iterator[str]:
    """One line for each thing that is mended."""
    yield from _data(report)
    if report.turned > 0.01:
        yield f"channels of opposite polarity are turned over for {report.turned:.0%} of the time"
    if any(finding.name == "balance" for finding in report.findings):
        yield "the one channel that carries sound is used"
    if abs(report.mono.dc) >= 0.01:
        yield f"a constant offset of {report.mono.dc:+.3f} is removed"
    change = _change(report)
    if abs(change) >= 1:
        yield f"the level is {'raised' if change > 0 else 'lowered'} by {abs(change):.0f} dB"


def _data(report: AudioReport) -> Iterator[str]:
    damage, repairs, info = report.damage, report.damage.repairs, report.info
    if info.rate != info.declared:
        yield f"it is read at {info.rate} Hz, though it declares {info.declared} Hz"
    if damage.not_finite:
        yield f"{damage.not_finite} samples that were not numbers are silenced"
    if any(finding.name == "header" for finding in report.findings):
        yield f"all {float(report.duration):.1f} s are used, more than it announces"
    if info.tracks > 1:
        yield f"of {info.tracks} sound tracks the main one is used"
    if repairs.silence:
        yield f"{float(repairs.silence):.2f} s missing between time stamps are filled with silence"
    if repairs.dropped:
        yield f"{float(repairs.dropped):.2f} s that overlap are dropped"
    if repairs.jumps:
        yield f"{repairs.jumps} jumps of its clock are closed up"
    if repairs.changes:
        yield f"{repairs.changes} changes of sample rate are evened out"

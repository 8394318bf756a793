"""What reading with policy "fix" mends, and what it leaves."""

import math
from collections.abc import Iterator

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.dsp.gain import TARGET_LUFS, compute_fixed_gain
from liveavatar.report import Finding

REPAIRED_FINDINGS = frozenset(
    {"samples", "header", "tracks", "gaps", "overlaps", "clock", "changes"}
    | {"phase", "balance", "offset", "level", "peak"}
)
"""Names of findings that are mended; the level only where the peaks leave room."""

_LEVEL_TOLERANCE_DB = 8.0  # dB below the target that is still loud enough


def list_unrepaired_findings(report: AudioReport) -> Iterator[Finding]:
    """The findings that need somebody's hand."""
    for finding in report.findings:
        if finding.level != "ok" and not _is_repaired(finding, report):
            yield finding


def _is_repaired(finding: Finding, report: AudioReport) -> bool:
    if finding.name == "level" and report.mono_level.loudness < TARGET_LUFS:
        return (
            finding.level != "bad"
            and report.mono_level.loudness + _compute_gain_db(report) >= TARGET_LUFS - _LEVEL_TOLERANCE_DB
        )
    return finding.name in REPAIRED_FINDINGS


def _compute_gain_db(report: AudioReport) -> float:
    """Decibels by which the level is changed."""
    return 20 * math.log10(compute_fixed_gain(report.mono_level))


def describe_repairs(report: AudioReport) -> Iterator[str]:
    """One line for each thing that is mended."""
    yield from _describe_data_repairs(report)
    if report.opposite_polarity_share > 0.01:
        yield f"channels of opposite polarity are turned over for {report.opposite_polarity_share:.0%} of the time"
    if any(finding.name == "balance" for finding in report.findings):
        yield "the one channel that carries sound is used"
    if abs(report.mono_level.dc_offset) >= 0.01:
        yield f"a constant offset of {report.mono_level.dc_offset:+.3f} is removed"
    change = _compute_gain_db(report)
    if abs(change) >= 1:
        yield f"the level is {'raised' if change > 0 else 'lowered'} by {abs(change):.0f} dB"


def _describe_data_repairs(report: AudioReport) -> Iterator[str]:
    damage, repairs, info = report.damage, report.damage.repairs, report.info
    if info.rate != info.declared_rate:
        yield f"it is read at {info.rate} Hz, though it declares {info.declared_rate} Hz"
    if damage.invalid_samples:
        yield f"{damage.invalid_samples} samples that were not numbers are silenced"
    if any(finding.name == "header" for finding in report.findings):
        yield f"all {float(report.duration):.1f} s are used, more than it announces"
    if info.track_count > 1:
        yield f"of {info.track_count} sound tracks the main one is used"
    if repairs.inserted_silence:
        yield f"{float(repairs.inserted_silence):.2f} s missing between time stamps are filled with silence"
    if repairs.dropped_overlap:
        yield f"{float(repairs.dropped_overlap):.2f} s that overlap are dropped"
    if repairs.clock_jumps:
        yield f"{repairs.clock_jumps} jumps of its clock are closed up"
    if repairs.rate_changes:
        yield f"{repairs.rate_changes} changes of sample rate are evened out"

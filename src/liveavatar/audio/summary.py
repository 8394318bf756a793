"""A report for machines: plain values that JSON can hold."""

import json
import math
from dataclasses import asdict
from typing import Any

from liveavatar.audio.quality import AudioReport
from liveavatar.report import worst


def as_object(report: AudioReport) -> dict[str, Any]:
    """Everything that was measured and found; levels in dB, times in seconds, None where there is none."""
    info, background = report.info, report.background
    return {
        "file": str(report.path),
        "level": worst(report.findings),
        "findings": [asdict(finding) for finding in report.findings],
        "mended": list(report.mended),
        "container": info.container,
        "codec": info.codec,
        "rate": info.rate,
        "declared_rate": info.declared,
        "likely_rate": report.guess.likely,
        "likely_rate_confidence": _number(report.guess.confidence),
        "channels": info.channels,
        "layout": list(info.layout),
        "tracks": info.tracks,
        "container_seconds": _number(info.promised),
        "decoded_seconds": _number(report.duration),
        "samples": report.samples,
        "bandwidth_hz": _number(report.band and report.band.edge),
        "loudness_lufs": _number(report.level.loudness),
        "speech_loudness_lufs": _number(report.mono.loudness),
        "true_peak_dbtp": _decibels(report.level.true_peak),
        "offset": _number(report.level.dc),
        "clipped_share": _number(report.clipping),
        "noise_db": _number(background.noise),
        "snr_db": _number(background.snr),
        "echo_seconds": _number(background.echo),
        "longest_silence_seconds": _number(background.silence),
        "speech_share": _number(report.speech),
        "dropouts": report.dropouts,
        "opposite_polarity_share": _number(report.turned),
        "channel_levels_db": [_number(level) for level in report.channel_levels],
    }


def tag(report: AudioReport) -> str:
    """The report as one short line of JSON, without paths: what a video says of its sound."""
    values = as_object(report)
    for name in ("file", "layout", "channel_levels_db", "samples"):
        del values[name]
    values["findings"] = [
        {"name": finding.name, "level": finding.level, "sentence": finding.sentence}
        for finding in report.findings
        if finding.level != "ok"
    ]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 4)


def _decibels(amplitude: float) -> float | None:
    return _number(20 * math.log10(amplitude)) if amplitude > 0 else None

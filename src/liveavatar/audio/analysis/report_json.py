"""`AudioReport` as plain values for JSON."""

import json
import math
from dataclasses import asdict
from typing import Any

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.report import find_worst_level


def audio_report_to_json(report: AudioReport) -> dict[str, Any]:
    """All measurements and findings; levels in dB, times in seconds, None where a value is unknown or infinite."""
    info, background = report.info, report.background
    return {
        "file": str(report.path),
        "level": find_worst_level(report.findings),
        "findings": [asdict(finding) for finding in report.findings],
        "mended": list(report.fixes),
        "container": info.container,
        "codec": info.codec,
        "rate": info.rate,
        "declared_rate": info.declared_rate,
        "likely_rate": report.rate_guess.likely_rate,
        "likely_rate_confidence": _round_number(report.rate_guess.confidence),
        "channels": info.channels,
        "layout": list(info.layout),
        "tracks": info.track_count,
        "track": info.track,
        "container_seconds": _round_number(info.container_duration),
        "decoded_seconds": _round_number(report.duration),
        "samples": report.sample_count,
        "bandwidth_hz": _round_number(report.band_limit and report.band_limit.edge_hz),
        "loudness_lufs": _round_number(report.level.loudness),
        "speech_loudness_lufs": _round_number(report.mono_level.loudness),
        "true_peak_dbtp": _amplitude_to_decibels(report.level.true_peak),
        "offset": _round_number(report.level.dc_offset),
        "clipped_share": _round_number(report.clipped_share),
        "noise_db": _round_number(background.noise_level),
        "snr_db": _round_number(background.snr),
        "echo_seconds": _round_number(background.reverberation_time),
        "longest_silence_seconds": _round_number(background.longest_silence),
        "speech_share": _round_number(report.speech_share),
        "dropouts": report.dropout_count,
        "opposite_polarity_share": _round_number(report.opposite_polarity_share),
        "channel_levels_db": [_round_number(level) for level in report.channel_levels],
    }


def format_report_tag(report: AudioReport) -> str:
    """One short line of JSON without paths, for the metadata of a video."""
    values = audio_report_to_json(report)
    for name in ("file", "layout", "channel_levels_db", "samples"):
        del values[name]
    values["findings"] = [
        {"name": finding.name, "level": finding.level, "sentence": finding.sentence}
        for finding in report.findings
        if finding.level != "ok"
    ]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _round_number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 4)


def _amplitude_to_decibels(amplitude: float) -> float | None:
    return _round_number(20 * math.log10(amplitude)) if amplitude > 0 else None

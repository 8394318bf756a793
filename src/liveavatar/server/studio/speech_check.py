"""The check of a recording as a page shows it: the mended sound's waveform, where somebody speaks, what was found."""

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.audio.front_end import check_and_correct_rate, read_checked_speech
from liveavatar.audio.io.decode import open_audio
from liveavatar.audio.spectral.framing import StreamFramer
from liveavatar.errors import AudioError
from liveavatar.files import describe_path
from liveavatar.report import Finding, find_worst_level

_COLUMN_COUNT = 600  # of the waveform, at most


def inspect_recording(path: Path, name: str, max_seconds: int) -> dict[str, Any]:
    """Measure a recording and reduce it to columns: [lowest, highest, whether somebody speaks], amplitudes -1…1.

    Raises:
        AudioError: the file cannot be read, or lasts longer than `max_seconds`.
    """
    with open_audio(path, True) as stream:  # before hours of it are measured
        _check_duration(stream.info.container_duration or 0, name, max_seconds)
    report = check_and_correct_rate(path)
    _check_duration(report.duration, name, max_seconds)
    repaired = {finding.name for finding in report.findings} - {
        finding.name for finding in report.remaining_findings
    }
    return {
        "level": find_worst_level(report.remaining_findings),
        "findings": [
            _finding_to_json(finding, name, path)
            for finding in report.findings
            if finding.name not in repaired or finding.level == "ok"
        ],
        "mended": list(report.fixes),
        "seconds": round(float(report.duration), 3),
        "rate": report.info.rate,
        "channels": report.info.channels,
        "codec": report.info.codec,
        "columns": _draw_columns(report),
    }


def _check_duration(seconds: float | Fraction, name: str, max_seconds: int) -> None:
    if seconds > max_seconds:
        remedy = f"use {max_seconds} s or less; `liveavatar generate` takes any length"
        raise AudioError(f"{name} lasts {float(seconds):.0f} s", remedy)


def _finding_to_json(finding: Finding, name: str, path: Path) -> dict[str, Any]:
    """A finding in which the file has the name that its owner knows."""
    values = asdict(finding)
    return {key: value.replace(describe_path(path), name) for key, value in values.items()}


def _draw_columns(report: AudioReport) -> list[list[float]]:
    windows = -(-report.speech_sample_count // (_COLUMN_COUNT * VAD_WINDOW_SAMPLES))
    step = windows * VAD_WINDOW_SAMPLES
    framer, columns = StreamFramer(step, step), list[list[float]]()
    detector, speech = VoiceActivityDetector(), list[np.ndarray[Any, Any]]()
    for samples in read_checked_speech(report, "fix"):
        speech.append(detector.push(samples))
        columns += [[float(frame.min()), float(frame.max())] for frame in framer.push(samples)]
    speech.append(detector.flush())
    columns += [[float(frame.min()), float(frame.max())] for frame in framer.flush()]
    voice = np.concatenate(speech) > SPEECH_THRESHOLD
    return [
        [round(low, 3), round(high, 3), int(voice[number * windows : (number + 1) * windows].any())]
        for number, (low, high) in enumerate(columns)
    ]

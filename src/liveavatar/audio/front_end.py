"""Reads any recording, or live sound, as the 16 kHz mono float32 that engines take."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from liveavatar.audio.analysis.analyser import AudioReport, analyse_recording, measure_speech_share
from liveavatar.audio.analysis.rules import (
    assess_recording,
    describe_repairs,
    find_blocking_finding,
    find_certain_rate,
    list_unrepaired_findings,
)
from liveavatar.audio.dsp.downmix import Downmixer, default_layout
from liveavatar.audio.dsp.gain import LiveGainControl, compute_fixed_gain
from liveavatar.audio.dsp.live_resample import create_live_resampler
from liveavatar.audio.dsp.speech_downmix import SpeechDownmixer
from liveavatar.audio.io.decode import open_audio
from liveavatar.audio.io.live_chunk import LiveChunk, check_live_rate, convert_live_chunk
from liveavatar.audio.io.timestamps import Splicer
from liveavatar.audio.io.wav import write_wav
from liveavatar.errors import AudioError, OptionError
from liveavatar.frames import Samples
from liveavatar.report import FINDING_LEVELS
from liveavatar.timeline import SAMPLE_RATE

RepairPolicy = Literal["fix", "strict", "as-is"]
"""How a recording with findings is read: repaired, not at all, or unchanged."""


def read_speech(
    path: str | Path, policy: RepairPolicy = "fix", true_rate: int | None = None, track: int | None = None
) -> tuple[AudioReport, Iterator[Samples]]:
    """Measure a file, then read it as 16 kHz mono chunks of up to one second, float32 [n].

    n samples at R Hz give exactly `round(n·16000/R)`, at least one. With "fix", level, DC offset, invalid samples and a
    certainly wrong sample rate are repaired, and `report.fixes` has a line for each. With any policy, gaps keep their
    time and channels of opposite polarity do not cancel. `true_rate` in Hz overrides the rate in the header; `track`
    is the number of the sound track, from 1, None the one that players play.

    Raises:
        OptionError: there is no such policy.
        AudioError: the file cannot be read, or the policy is "strict" and it needs repairs.
    """
    if policy not in get_args(RepairPolicy):
        raise OptionError(
            f"there is no audio policy {policy!r}", f"use one of: {', '.join(get_args(RepairPolicy))}"
        )
    report = check_and_correct_rate(path, policy, true_rate, track)
    if policy == "strict":
        require_usable_recording(report, "use --audio-policy fix")
    return report, read_checked_speech(report, policy)


def require_usable_recording(report: AudioReport, alternative: str) -> None:
    """Accept a recording that needs no repair and whose findings, if any, do not affect the lips.

    Raises:
        AudioError: any other recording, with its worst finding, the remedy, and the `alternative` to it.
    """
    finding = find_blocking_finding(report)
    if finding is not None:
        raise AudioError(f"{report.path.name}: {finding.sentence}", f"{finding.remedy}, or {alternative}")


def check_recording(
    path: str | Path, policy: RepairPolicy = "fix", true_rate: int | None = None, track: int | None = None
) -> AudioReport:
    """Measure a file and assess it by the rules. Findings are sorted, the worst first.

    Raises:
        AudioError: the file cannot be read, or samples are not numbers and the policy is not "fix".
    """
    report = analyse_recording(path, policy == "fix", true_rate, track)
    if true_rate is None and report.rate_guess.likely_rate != report.rate_guess.declared_rate:
        share = measure_speech_share(report.path, policy == "fix", report.rate_guess.likely_rate, track)
        report = replace(report, corrected_speech_share=share)
    findings = sorted(assess_recording(report), key=lambda finding: -FINDING_LEVELS.index(finding.level))
    report = replace(report, findings=tuple(findings))
    if policy == "fix":
        return replace(
            report,
            fixes=tuple(describe_repairs(report)),
            remaining_findings=tuple(list_unrepaired_findings(report)),
        )
    return replace(report, remaining_findings=tuple(finding for finding in findings if finding.level != "ok"))


def check_and_correct_rate(
    path: str | Path, policy: RepairPolicy = "fix", true_rate: int | None = None, track: int | None = None
) -> AudioReport:
    """As `check_recording`. With "fix", a file whose rate is certainly wrong is measured again at the likely rate.

    Raises:
        AudioError: as `check_recording`.
    """
    report = check_recording(path, policy, true_rate, track)
    certain_rate = find_certain_rate(report)
    return check_recording(path, policy, certain_rate, track) if certain_rate and policy == "fix" else report


def read_checked_speech(report: AudioReport, policy: RepairPolicy) -> Iterator[Samples]:
    """Read a checked file as 16 kHz mono chunks of up to one second, float32 [n].

    Raises:
        AudioError: during iteration, if the file has changed and cannot be read.
    """
    gain, offset = np.float32(1), np.float32(0)
    if policy == "fix":
        gain = np.float32(compute_fixed_gain(report.mono_level))
        offset = np.float32(report.mono_level.dc_offset)
    with open_audio(report.path, policy == "fix", report.info.rate, report.info.track) as stream:
        downmixer = SpeechDownmixer(stream.info.rate, stream.info.layout)
        for chunk in stream:
            yield from _split_into_seconds((downmixer.push(chunk.samples) - offset) * gain)
        yield from _split_into_seconds((downmixer.flush() - offset) * gain)


def write_checked_speech(report: AudioReport, output: Path) -> None:
    """Write a checked recording, repaired, as a 16 kHz mono 16-bit WAV, which appears complete or not at all.

    Raises:
        AudioError: the recording cannot be read any more.
        OutputError: the file cannot be written, or the recording has changed since it was checked.
    """
    write_wav(output, read_checked_speech(report, "fix"), report.speech_sample_count)


def _split_into_seconds(samples: Samples) -> Iterator[Samples]:
    """Chunks of one second, so that an engine starts before it has the whole recording."""
    for start in range(0, len(samples), SAMPLE_RATE):
        yield samples[start : start + SAMPLE_RATE]


class StreamFrontEnd:
    """Converts live sound of any rate and chunk size to 16 kHz mono, with gain control unless `adjust_gain` is false.

    Rate and channels may change between chunks without a gap in time. Samples that are not numbers are silenced. The
    latency is that of the stages: resampler 6 ms (none at 16 kHz), downmix of several channels 20 ms, gain 10 ms. Any
    chunking gives the same samples to the last bit.

    Without gain control, the output may have another `rate`: what people hear is converted as what engines hear.
    """

    def __init__(self, adjust_gain: bool = True, rate: int = SAMPLE_RATE) -> None:
        if adjust_gain and rate != SAMPLE_RATE:
            raise OptionError(
                f"gain control at {rate} Hz is not possible", f"use {SAMPLE_RATE} Hz, or adjust_gain=False"
            )
        self._gain_control = LiveGainControl() if adjust_gain else None
        self._rate = rate
        self.clear()

    def clear(self) -> None:
        """Drop all state, for another stream."""
        self._splicer = Splicer(self._rate, 1, Fraction(1, self._rate), None, create_live_resampler)
        self._downmixer = Downmixer(self._rate, default_layout(1))
        self._input_format = (self._rate, 1)
        if self._gain_control is not None:
            self._gain_control.clear()

    def push(self, chunk: LiveChunk, rate: float) -> Samples:
        """Convert float32 or int16, [n] or [n, channels], at `rate` Hz; returns what is ready, float32 [m].

        Raises:
            AudioError: a rate outside 1…768 kHz, another type of samples, or another shape. Nothing was added.
        """
        rate, samples = check_live_rate(rate), convert_live_chunk(chunk)
        ready = np.empty(0, np.float32)
        if (rate, samples.shape[1]) != self._input_format:
            ready = self._append_mono(self._downmixer.flush())
            self._input_format = (rate, samples.shape[1])
            self._downmixer = Downmixer(rate, default_layout(samples.shape[1]))
        ready = np.concatenate([ready, self._append_mono(self._downmixer.push(samples))])
        return ready if self._gain_control is None else self._gain_control.push(ready)

    def flush(self) -> Samples:
        """End the stream; returns the samples that are left, float32 [m]. Another stream may follow."""
        rest = np.concatenate([self._append_mono(self._downmixer.flush()), self._splicer.flush()[:, 0]])
        if self._gain_control is not None:
            rest = np.concatenate([self._gain_control.push(rest), self._gain_control.flush()])
        self.clear()
        return rest

    def _append_mono(self, mono: Samples) -> Samples:
        """Resample to the rate of the output, without a gap to the run before."""
        pieces = self._splicer.push(mono[:, None], self._input_format[0], None)
        return np.concatenate([np.empty(0, np.float32), *(piece[:, 0] for piece in pieces)])

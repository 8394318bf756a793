"""The way into every engine: any recording, or live sound, as 16 kHz mono float32."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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
from liveavatar.audio.dsp.invalid_samples import silence_invalid_samples
from liveavatar.audio.dsp.live_resample import create_live_resampler
from liveavatar.audio.dsp.speech_downmix import SpeechDownmixer
from liveavatar.audio.io.decode import SUPPORTED_RATES, open_audio
from liveavatar.audio.io.pcm import int16_to_float
from liveavatar.audio.io.timestamps import Splicer
from liveavatar.audio.io.wav import write_wav
from liveavatar.errors import AudioError
from liveavatar.frames import Samples
from liveavatar.report import FINDING_LEVELS
from liveavatar.timeline import SAMPLE_RATE

RepairPolicy = Literal["fix", "strict", "as-is"]
"""What to do about a recording that needs mending: mend it, refuse it, or use it as it is."""


def read_speech(
    path: str | Path, policy: RepairPolicy = "fix", true_rate: int | None = None
) -> tuple[AudioReport, Iterator[Samples]]:
    """The sound of a file as 16 kHz mono chunks, after a first pass that measures it.

    n samples at R Hz give exactly `round(n·16000/R)`, at least one. With "fix", `report.mended` says what
    is mended: level, offset, damaged samples, a wrong rate where it is sure. Whatever the policy, gaps keep
    their time and channels of opposite polarity do not cancel. `true_rate` overrules the rate that the file declares.

    Raises:
        AudioError: the file cannot be read, or it needs mending and the policy is "strict".
    """
    report = check_and_correct_rate(path, policy, true_rate)
    if policy == "strict":
        require_usable_recording(report, "use --audio-policy fix")
    return report, read_checked_speech(report, policy)


def require_usable_recording(report: AudioReport, alternative: str) -> None:
    """Do nothing for a recording that is ready, or that leaves no more to be wished than a better microphone.

    Raises:
        AudioError: it needs mending, or would spoil the lips; the gravest reason, its remedy, what to do `instead`.
    """
    finding = find_blocking_finding(report)
    if finding is not None:
        raise AudioError(f"{report.path.name}: {finding.sentence}", f"{finding.remedy}, or {alternative}")


def check_recording(
    path: str | Path, policy: RepairPolicy = "fix", true_rate: int | None = None
) -> AudioReport:
    """Measure a file and judge it; findings come with the gravest first.

    Raises:
        AudioError: the file cannot be read; unless `policy` is "fix", also when samples are not numbers.
    """
    report = analyse_recording(path, policy == "fix", true_rate)
    if true_rate is None and report.rate_guess.likely_rate != report.rate_guess.declared_rate:
        speech_if = measure_speech_share(report.path, policy == "fix", report.rate_guess.likely_rate)
        report = replace(report, corrected_speech_share=speech_if)
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
    path: str | Path, policy: RepairPolicy = "fix", true_rate: int | None = None
) -> AudioReport:
    """As `check`; with "fix", a file whose voices surely tell another rate than it declares is taken for that.

    Raises:
        AudioError: as `check`.
    """
    report = check_recording(path, policy, true_rate)
    certain_rate = find_certain_rate(report)
    return check_recording(path, policy, certain_rate) if certain_rate and policy == "fix" else report


def read_checked_speech(report: AudioReport, policy: RepairPolicy) -> Iterator[Samples]:
    """The sound of a file that was checked, as `read_speech` gives it.

    Raises:
        AudioError: while it is iterated, when the file has changed for the worse.
    """
    gain, offset = np.float32(1), np.float32(0)
    if policy == "fix":
        gain = np.float32(compute_fixed_gain(report.mono_level))
        offset = np.float32(report.mono_level.dc_offset)
    with open_audio(report.path, policy == "fix", report.info.rate) as stream:
        mix = SpeechDownmixer(stream.info.rate, stream.info.layout)
        for chunk in stream:
            yield from _split_into_seconds((mix.push(chunk.samples) - offset) * gain)
        yield from _split_into_seconds((mix.flush() - offset) * gain)


def write_checked_speech(report: AudioReport, output: Path) -> None:
    """Write the speech of a checked recording, repaired, as a 16 kHz mono 16-bit WAV; complete or not at all.

    Raises:
        AudioError: the recording cannot be read any more.
        OutputError: the file cannot be written, or the recording has changed since it was checked.
    """
    write_wav(output, read_checked_speech(report, "fix"), report.speech_sample_count)


def _split_into_seconds(samples: Samples) -> Iterator[Samples]:
    """One after the other, so that an engine begins with the first instead of with them all."""
    for start in range(0, len(samples), SAMPLE_RATE):
        yield samples[start : start + SAMPLE_RATE]


class StreamFrontEnd:
    """Live sound of any rate and chunk size into 16 kHz mono, levelled unless `level` is false.

    Rate and channels may change between chunks; the clock goes on without a gap. Samples that are not
    numbers are silenced. Output lags by what the stages hold: the resampler 6 ms (nothing at 16 kHz), the mix
    of several channels 20 ms, the level 10 ms. Any chunking gives the same samples to the last bit.
    """

    def __init__(self, adjust_gain: bool = True) -> None:
        self._gain_control = LiveGainControl() if adjust_gain else None
        self.clear()

    def clear(self) -> None:
        """Forget everything: ready for another stream."""
        self._splicer = Splicer(SAMPLE_RATE, 1, Fraction(1, SAMPLE_RATE), None, create_live_resampler)
        self._downmixer = Downmixer(SAMPLE_RATE, default_layout(1))
        self._input_format = (SAMPLE_RATE, 1)
        if self._gain_control is not None:
            self._gain_control.clear()

    def push(self, chunk: NDArray[Any], rate: int) -> Samples:
        """Hear float32 or int16, [n] or [n, channels], at `rate` Hz; gives float32 [m] at 16 kHz.

        Raises:
            AudioError: a rate outside 1…768 kHz, another kind of samples, or another shape.
        """
        if rate not in SUPPORTED_RATES:
            raise AudioError(
                f"live sound at {rate} Hz is not possible", "send 16000, 24000, 44100 or 48000 Hz"
            )
        samples = _live_to_float(chunk)
        ready = np.empty(0, np.float32)
        if (rate, samples.shape[1]) != self._input_format:
            ready = self._append_mono(self._downmixer.flush())
            self._input_format = (rate, samples.shape[1])
            self._downmixer = Downmixer(rate, default_layout(samples.shape[1]))
        ready = np.concatenate([ready, self._append_mono(self._downmixer.push(samples))])
        return ready if self._gain_control is None else self._gain_control.push(ready)

    def flush(self) -> Samples:
        """End the stream: gives what is held back, float32 [m]; ready for another."""
        rest = np.concatenate([self._append_mono(self._downmixer.flush()), self._splicer.flush()[:, 0]])
        if self._gain_control is not None:
            rest = np.concatenate([self._gain_control.push(rest), self._gain_control.flush()])
        self.clear()
        return rest

    def _append_mono(self, mono: Samples) -> Samples:
        pieces = self._splicer.push(mono[:, None], self._input_format[0], None)
        return np.concatenate([np.empty(0, np.float32), *(piece[:, 0] for piece in pieces)])


def _live_to_float(chunk: NDArray[Any]) -> NDArray[np.float32]:
    """Live samples as float32 [n, channels], full scale 1."""
    if chunk.ndim == 1:
        chunk = chunk[:, None]
    if chunk.ndim != 2 or chunk.shape[1] == 0:
        raise AudioError(
            f"live sound of shape {list(chunk.shape)} is not possible", "send [n] or [n, channels]"
        )
    if chunk.dtype == np.int16:
        return int16_to_float(chunk)
    if not np.issubdtype(chunk.dtype, np.floating):
        raise AudioError(f"live sound of type {chunk.dtype} is not possible", "send float32 or int16")
    return silence_invalid_samples(chunk.astype(np.float32))[0]

"""The way into every engine: any recording, or live sound, as 16 kHz mono float32."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.decode import MAX_AMPLITUDE, RATES, open_audio
from liveavatar.audio.downmix import Downmix, default_layout
from liveavatar.audio.findings import find
from liveavatar.audio.level import LiveLevel, fixed_gain
from liveavatar.audio.live_resample import live_resampler
from liveavatar.audio.mending import left, mended
from liveavatar.audio.mix import SpeechMix
from liveavatar.audio.quality import AudioReport, measure, speech_share
from liveavatar.audio.splice import Splicer
from liveavatar.errors import AudioError
from liveavatar.frames import Samples
from liveavatar.report import LEVELS
from liveavatar.timeline import SAMPLE_RATE

Policy = Literal["fix", "strict", "as-is"]
"""What to do about a recording that needs mending: mend it, refuse it, or use it as it is."""


HINTS = frozenset({"silence", "noise", "echo", "clipping"})
"""Findings that, unless they are bad, change neither the sound nor the time of the lips: "strict" lets them pass."""


def read_speech(
    path: str | Path, policy: Policy = "fix", true_rate: int | None = None
) -> tuple[AudioReport, Iterator[Samples]]:
    """The sound of a file as 16 kHz mono chunks, after a first pass that measures it.

    n samples at R Hz give exactly `round(n·16000/R)`, at least one. With "fix", `report.mended` says what
    is mended: level, offset, damaged samples, a wrong rate where it is sure. Whatever the policy, gaps keep
    their time and channels of opposite polarity do not cancel. `true_rate` overrules the rate that the file declares.

    Raises:
        AudioError: the file cannot be read, or it needs mending and the policy is "strict".
    """
    report = check_and_correct(path, policy, true_rate)
    if policy == "strict":
        refuse(report, "use --audio-policy fix")
    return report, speech_of(report, policy)


def refuse(report: AudioReport, instead: str) -> None:
    """Do nothing for a recording that is ready, or that leaves no more to be wished than a better microphone.

    Raises:
        AudioError: it needs mending, or would spoil the lips; the gravest reason, its remedy, what to do `instead`.
    """
    for finding in report.findings:
        if finding.level == "bad" or (finding.level == "warn" and finding.name not in HINTS):
            raise AudioError(f"{report.path.name}: {finding.sentence}", f"{finding.remedy}, or {instead}")


def check(path: str | Path, policy: Policy = "fix", true_rate: int | None = None) -> AudioReport:
    """Measure a file and judge it; findings come with the gravest first.

    Raises:
        AudioError: the file cannot be read; unless `policy` is "fix", also when samples are not numbers.
    """
    report = measure(path, policy == "fix", true_rate)
    if true_rate is None and report.guess.likely != report.guess.declared:
        speech_if = speech_share(report.path, policy == "fix", report.guess.likely)
        report = replace(report, speech_if=speech_if)
    findings = sorted(find(report), key=lambda finding: -LEVELS.index(finding.level))
    report = replace(report, findings=tuple(findings))
    if policy == "fix":
        return replace(report, mended=tuple(mended(report)), left=tuple(left(report)))
    return replace(report, left=tuple(finding for finding in findings if finding.level != "ok"))


def check_and_correct(path: str | Path, policy: Policy = "fix", true_rate: int | None = None) -> AudioReport:
    """As `check`; with "fix", a file whose voices surely tell another rate than it declares is taken for that.

    Raises:
        AudioError: as `check`.
    """
    report = check(path, policy, true_rate)
    wrong = any(finding.name == "true-rate" and finding.level == "bad" for finding in report.findings)
    return check(path, policy, report.guess.likely) if wrong and policy == "fix" and not true_rate else report


def speech_of(report: AudioReport, policy: Policy) -> Iterator[Samples]:
    """The sound of a file that was checked, as `read_speech` gives it.

    Raises:
        AudioError: while it is iterated, when the file has changed for the worse.
    """
    gain, offset = np.float32(1), np.float32(0)
    if policy == "fix":
        gain = np.float32(fixed_gain(report.mono))
        offset = np.float32(report.mono.dc)
    with open_audio(report.path, policy == "fix", report.info.rate) as stream:
        mix = SpeechMix(stream.info.rate, stream.info.layout)
        for chunk in stream:
            yield from _seconds((mix.push(chunk.samples) - offset) * gain)
        yield from _seconds((mix.flush() - offset) * gain)


def _seconds(samples: Samples) -> Iterator[Samples]:
    """One after the other, so that an engine begins with the first instead of with them all."""
    for start in range(0, len(samples), SAMPLE_RATE):
        yield samples[start : start + SAMPLE_RATE]


class StreamFrontEnd:
    """Live sound of any rate and chunk size into 16 kHz mono, levelled unless `level` is false.

    Rate and channels may change between chunks; the clock goes on without a gap. Samples that are not
    numbers are silenced. Output lags by what the stages hold: the resampler 6 ms (nothing at 16 kHz), the mix
    of several channels 20 ms, the level 10 ms. Any chunking gives the same samples to the last bit.
    """

    def __init__(self, level: bool = True) -> None:
        self._level = LiveLevel() if level else None
        self.clear()

    def clear(self) -> None:
        """Forget everything: ready for another stream."""
        self._track = Splicer(SAMPLE_RATE, 1, Fraction(1, SAMPLE_RATE), None, live_resampler)
        self._downmix = Downmix(SAMPLE_RATE, default_layout(1))
        self._format = (SAMPLE_RATE, 1)
        if self._level is not None:
            self._level.clear()

    def push(self, chunk: NDArray[Any], rate: int) -> Samples:
        """Hear float32 or int16, [n] or [n, channels], at `rate` Hz; gives float32 [m] at 16 kHz.

        Raises:
            AudioError: a rate outside 1…768 kHz, another kind of samples, or another shape.
        """
        if rate not in RATES:
            raise AudioError(
                f"live sound at {rate} Hz is not possible", "send 16000, 24000, 44100 or 48000 Hz"
            )
        samples = _as_float(chunk)
        ready = np.empty(0, np.float32)
        if (rate, samples.shape[1]) != self._format:
            ready = self._lay(self._downmix.flush())
            self._format = (rate, samples.shape[1])
            self._downmix = Downmix(rate, default_layout(samples.shape[1]))
        ready = np.concatenate([ready, self._lay(self._downmix.push(samples))])
        return ready if self._level is None else self._level.push(ready)

    def flush(self) -> Samples:
        """End the stream: gives what is held back, float32 [m]; ready for another."""
        rest = np.concatenate([self._lay(self._downmix.flush()), self._track.flush()[:, 0]])
        if self._level is not None:
            rest = np.concatenate([self._level.push(rest), self._level.flush()])
        self.clear()
        return rest

    def _lay(self, mono: Samples) -> Samples:
        pieces = self._track.push(mono[:, None], self._format[0], None)
        return np.concatenate([np.empty(0, np.float32), *(piece[:, 0] for piece in pieces)])


def _as_float(chunk: NDArray[Any]) -> NDArray[np.float32]:
    """Live samples as float32 [n, channels], full scale 1."""
    if chunk.ndim == 1:
        chunk = chunk[:, None]
    if chunk.ndim != 2 or chunk.shape[1] == 0:
        raise AudioError(
            f"live sound of shape {list(chunk.shape)} is not possible", "send [n] or [n, channels]"
        )
    if chunk.dtype == np.int16:
        return chunk.astype(np.float32) / np.float32(32768)
    if not np.issubdtype(chunk.dtype, np.floating):
        raise AudioError(f"live sound of type {chunk.dtype} is not possible", "send float32 or int16")
    samples = chunk.astype(np.float32)
    return np.where(np.abs(samples) <= MAX_AMPLITUDE, samples, np.float32(0))

"""Converts one recording to a 16 kHz mono 16-bit WAV of even loudness, with or without its noise."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.noise import BackgroundMeter
from liveavatar.audio.batch.results import is_same_source
from liveavatar.audio.dsp.denoise import Denoiser
from liveavatar.audio.front_end import check_and_correct_rate, read_checked_speech, write_checked_speech
from liveavatar.audio.io.wav import write_wav
from liveavatar.errors import OutputError
from liveavatar.files import describe_path
from liveavatar.frames import Samples

PREPARATION_VERSION = 3
"""Increases whenever the same recording gives other samples than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationOptions:
    """How recordings are prepared. `true_rate` in Hz overrides the rate that they declare, `track` is the number of
    the sound track, from 1, None the one that players play.
    """

    denoise: bool = False
    true_rate: int | None = None
    track: int | None = None

    def to_manifest_text(self) -> str:
        """The options and the version of the method, as the manifest stores them.

        This text must not change with names in the code: a result whose text differs is prepared again.
        """
        track = "" if self.track is None else f", track={self.track}"
        return f"{PREPARATION_VERSION} Options(denoise={self.denoise}, true_rate={self.true_rate}{track})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRecording:
    """The report on a recording, the file written from it, and one line for each repair."""

    report: AudioReport
    output: Path
    repairs: tuple[str, ...]


def prepare_recording(source: Path, output: Path, options: PreparationOptions) -> PreparedRecording:
    """Check `source` and write `output`, which appears complete or not at all.

    Raises:
        AudioError: the recording cannot be read, or `options.denoise` is set and RNNoise is missing.
        OutputError: the file cannot be written, or is the recording itself.
    """
    if is_same_source(source, str(output)):
        raise OutputError(f"{describe_path(output)} is the recording itself", "choose another folder")
    denoiser = MeasuredDenoiser() if options.denoise else None
    report = check_and_correct_rate(source, "fix", options.true_rate, options.track)
    if denoiser is None:
        write_checked_speech(report, output)
        return PreparedRecording(report=report, output=output, repairs=report.fixes)
    write_wav(output, denoiser(read_checked_speech(report, "fix")), report.speech_sample_count)
    return PreparedRecording(
        report=report, output=output, repairs=(*report.fixes, denoiser.describe_change())
    )


class MeasuredDenoiser:
    """A `Denoiser` for one stream that measures the noise level before and after."""

    def __init__(self) -> None:
        self._denoiser = Denoiser()
        self._before = BackgroundMeter()
        self._after = BackgroundMeter()

    def __call__(self, chunks: Iterable[Samples]) -> Iterator[Samples]:
        """Denoise the whole stream, float32 [n] a chunk."""
        return _meter_stream(self._denoiser(_meter_stream(chunks, self._before)), self._after)

    def measure_reduction(self) -> float | None:
        """Decibels by which the noise is lower, once the stream has ended; None if there was no noise."""
        before, after = self._before.finish().noise_level, self._after.finish().noise_level
        return None if before is None or after is None else before - after

    def describe_change(self) -> str:
        """One line for people, once the stream has ended."""
        reduction = self.measure_reduction()
        if reduction is None:
            return "there was no noise to be taken out"
        return f"the noise is lowered by {reduction:.0f} dB"


def _meter_stream(chunks: Iterable[Samples], meter: BackgroundMeter) -> Iterator[Samples]:
    for chunk in chunks:
        meter.push(chunk)
        yield chunk

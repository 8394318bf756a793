"""One recording of any kind into a 16 kHz mono 16-bit WAV that any model takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.dsp.denoise import Denoiser
from liveavatar.audio.front_end import check_and_correct_rate, read_checked_speech
from liveavatar.audio.io.wav import write_wav
from liveavatar.errors import OutputError

PREPARATION_VERSION = 2
"""Counts up whenever the same recording would give other samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationOptions:
    """How recordings are prepared. `true_rate` in Hz overrules what they declare."""

    denoise: bool = False
    true_rate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRecording:
    """What became of one recording: `mended` says what was changed."""

    report: AudioReport
    output: Path
    repairs: tuple[str, ...]


def prepare_recording(source: Path, output: Path, options: PreparationOptions) -> PreparedRecording:
    """Write `output`, which appears whole or not at all.

    Raises:
        AudioError: the recording cannot be read, or noise is to be taken out and RNNoise is missing.
        OutputError: the file cannot be written, or is the recording itself.
    """
    if output.exists() and output.samefile(source):
        raise OutputError(f"{output} is the recording itself", "choose another folder")
    denoiser = Denoiser() if options.denoise else None
    report = check_and_correct_rate(source, "fix", options.true_rate)
    return write_prepared_recording(report, output, denoiser)


def write_prepared_recording(
    report: AudioReport, output: Path, denoiser: Denoiser | None = None
) -> PreparedRecording:
    """Write a recording that was checked.

    Raises:
        AudioError: the recording cannot be read any more.
        OutputError: the file cannot be written.
    """
    sound = read_checked_speech(report, "fix")
    write_wav(output, denoiser(sound) if denoiser else sound, report.speech_sample_count)
    mended = (*report.fixes, *_describe_noise_reduction(denoiser))
    return PreparedRecording(report=report, output=output, repairs=mended)


def _describe_noise_reduction(denoiser: Denoiser | None) -> Iterator[str]:
    if denoiser is None:
        return
    if denoiser.noise_reduction_db is None:
        yield "there was no noise to be taken out"
    else:
        yield f"the noise is lowered by {denoiser.noise_reduction_db:.0f} dB"

"""One recording prepared: what is reported, and what the manifest stores."""

from pathlib import Path

import numpy as np
import pytest

from audio.noisy import add_noise, needs_rnnoise, needs_rnnoise_missing
from audio.sounds import babble, write_wav
from liveavatar.audio.batch.prepare import MeasuredDenoiser, PreparationOptions, prepare_recording
from liveavatar.errors import AudioError, OutputError
from liveavatar.frames import Samples


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (PreparationOptions(), "3 Options(denoise=False, true_rate=None)"),
        (PreparationOptions(denoise=True, true_rate=8_000), "3 Options(denoise=True, true_rate=8000)"),
    ],
)
def test_manifests_of_earlier_releases_stay_valid(options: PreparationOptions, text: str) -> None:
    assert options.to_manifest_text() == text


def test_the_recording_itself_is_never_written(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", babble(16_000, 0.5), 16_000)
    with pytest.raises(OutputError, match="is the recording itself"):
        prepare_recording(path, path, PreparationOptions())


@needs_rnnoise_missing
def test_denoising_without_rnnoise_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioError):
        prepare_recording(tmp_path / "a.wav", tmp_path / "out.wav", PreparationOptions(denoise=True))


@needs_rnnoise
def test_the_noise_is_lowered(speech: Samples) -> None:
    denoiser = MeasuredDenoiser()
    clean = np.concatenate(list(denoiser([add_noise(speech)])))
    assert clean.shape == speech.shape
    reduction = denoiser.measure_reduction()
    assert reduction is not None
    assert reduction > 10


@needs_rnnoise
def test_the_noise_reduction_is_reported(tmp_path: Path, speech: Samples) -> None:
    path = write_wav(tmp_path / "a.wav", add_noise(speech)[:, None], 16_000)
    prepared = prepare_recording(path, tmp_path / "out.wav", PreparationOptions(denoise=True))
    assert any(line.startswith("the noise is lowered by ") for line in prepared.repairs)

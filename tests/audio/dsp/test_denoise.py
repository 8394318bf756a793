"""RNNoise takes noise out and leaves the voice where it was."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from audio.sounds import write_wav
from liveavatar.audio.batch.prepare import PreparationOptions, prepare_recording
from liveavatar.audio.dsp.denoise import Denoiser, load_rnnoise
from liveavatar.errors import AudioError
from liveavatar.frames import Samples

MISSING = find_spec("pyrnnoise") is None
needs_rnnoise = pytest.mark.skipif(MISSING, reason="pyrnnoise is not installed")
needs_none = pytest.mark.skipif(not MISSING, reason="pyrnnoise is installed")


def noisy(speech: Samples) -> Samples:
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(speech))
    return (speech + noise).astype(np.float32)


@needs_none
def test_without_rnnoise_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(
        AudioError, match=r"RNNoise is not installed; run: pip install 'liveavatar\[denoise\]'"
    ):
        load_rnnoise()
    with pytest.raises(AudioError):
        prepare_recording(tmp_path / "a.wav", tmp_path / "out.wav", PreparationOptions(denoise=True))


@needs_rnnoise
def test_noise_sinks_and_the_voice_stays_at_its_time(speech: Samples) -> None:
    denoiser = Denoiser()
    clean = np.concatenate(list(denoiser([noisy(speech)])))
    assert clean.shape == speech.shape
    assert clean.dtype == np.float32
    assert denoiser.noise_reduction_db is not None
    assert denoiser.noise_reduction_db > 10
    size = 1 << 19
    likeness = np.fft.irfft(np.fft.rfft(clean, size) * np.conj(np.fft.rfft(speech, size)))
    assert abs((int(likeness.argmax()) + size // 2) % size - size // 2) <= 1


@needs_rnnoise
@pytest.mark.parametrize("count", [1, 159, 160, 16_001])
def test_length_is_kept_and_chunks_make_no_difference(speech: Samples, count: int) -> None:
    sound = noisy(speech)[20_000 : 20_000 + count]
    whole = np.concatenate(list(Denoiser()([sound])))
    pieces = np.concatenate(list(Denoiser()(np.split(sound, [count // 3, count // 2]))))
    assert len(whole) == count
    assert np.array_equal(whole, pieces)


@needs_rnnoise
def test_prepare_says_what_it_changed(tmp_path: Path, speech: Samples) -> None:
    path = write_wav(tmp_path / "a.wav", noisy(speech)[:, None], 16_000)
    prepared = prepare_recording(path, tmp_path / "out.wav", PreparationOptions(denoise=True))
    assert any(line.startswith("the noise is lowered by ") for line in prepared.repairs)

"""RNNoise keeps the length and the time of a voice."""

import numpy as np
import pytest

from audio.noisy import add_noise, needs_rnnoise, needs_rnnoise_missing
from liveavatar.audio.dsp.denoise import Denoiser, load_rnnoise
from liveavatar.errors import AudioError
from liveavatar.frames import Samples


@needs_rnnoise_missing
def test_without_rnnoise_the_error_says_what_to_install() -> None:
    with pytest.raises(
        AudioError, match=r"RNNoise is not installed; run: pip install 'liveavatar\[denoise\]'"
    ):
        load_rnnoise()


@needs_rnnoise
def test_the_voice_stays_at_its_time(speech: Samples) -> None:
    clean = np.concatenate(list(Denoiser()([add_noise(speech)])))
    assert clean.shape == speech.shape
    assert clean.dtype == np.float32
    size = 1 << 19
    correlation = np.fft.irfft(np.fft.rfft(clean, size) * np.conj(np.fft.rfft(speech, size)))
    assert abs((int(correlation.argmax()) + size // 2) % size - size // 2) <= 1


@needs_rnnoise
@pytest.mark.parametrize("count", [1, 159, 160, 16_001])
def test_length_is_kept_and_chunks_make_no_difference(speech: Samples, count: int) -> None:
    sound = add_noise(speech)[20_000 : 20_000 + count]
    one_chunk = np.concatenate(list(Denoiser()([sound])))
    three_chunks = np.concatenate(list(Denoiser()(np.split(sound, [count // 3, count // 2]))))
    assert len(one_chunk) == count
    assert np.array_equal(one_chunk, three_chunks)

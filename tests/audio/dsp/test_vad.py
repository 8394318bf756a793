"""The detector tells speech from noise on any chunking, and never looks ahead."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.sounds import babble, noise
from liveavatar.audio.dsp.vad import VAD_WINDOW_SAMPLES, VoiceActivityDetector


def listen(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    detector = VoiceActivityDetector()
    return np.concatenate([detector.push(samples), detector.flush()])


@settings(max_examples=20)
@given(st.lists(st.integers(0, 8_000), max_size=8))
def test_chunks_give_the_same_to_the_last_bit(cuts: list[int]) -> None:
    sound = babble(16_000, 0.5)[:, 0]
    detector = VoiceActivityDetector()
    pieces = [detector.push(piece) for piece in np.split(sound, sorted(cuts))]
    assert np.array_equal(np.concatenate([*pieces, detector.flush()]), listen(sound))


def test_every_started_window_has_a_probability() -> None:
    for count in (0, 1, VAD_WINDOW_SAMPLES, VAD_WINDOW_SAMPLES + 1):
        probabilities = listen(noise(16_000, count / 16_000)[:, 0])
        assert len(probabilities) == -(-count // VAD_WINDOW_SAMPLES)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_what_follows_changes_nothing_before() -> None:
    sound = noise(16_000, 1)[:, 0]
    other = sound.copy()
    other[20 * VAD_WINDOW_SAMPLES :] *= 3
    assert np.array_equal(listen(sound)[:20], listen(other)[:20])


def test_noise_and_silence_are_not_speech() -> None:
    assert listen(np.zeros(16_000, np.float32)).max() < 0.5
    assert np.mean(listen(noise(16_000, 2)[:, 0]) > 0.5) < 0.1


def test_a_second_stream_starts_afresh() -> None:
    detector = VoiceActivityDetector()
    sound = babble(16_000, 0.5)[:, 0]
    first = np.concatenate([detector.push(sound), detector.flush()])
    assert np.array_equal(np.concatenate([detector.push(sound), detector.flush()]), first)

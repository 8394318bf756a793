"""The detector distinguishes speech from noise, by any chunking and without look-ahead."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.sounds import babble, noise
from liveavatar.audio.dsp.vad import VAD_WINDOW_SAMPLES, VoiceActivityDetector


def detect_speech(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    detector = VoiceActivityDetector()
    return np.concatenate([detector.push(samples), detector.flush()])


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(st.integers(0, 8_000), max_size=8))
def test_chunks_give_the_same_bits(cuts: list[int]) -> None:
    sound = babble(16_000, 0.5)[:, 0]
    detector = VoiceActivityDetector()
    pieces = [detector.push(piece) for piece in np.split(sound, sorted(cuts))]
    assert np.array_equal(np.concatenate([*pieces, detector.flush()]), detect_speech(sound))


def test_an_incomplete_window_has_a_probability() -> None:
    for count in (0, 1, VAD_WINDOW_SAMPLES, VAD_WINDOW_SAMPLES + 1):
        probabilities = detect_speech(noise(16_000, count / 16_000)[:, 0])
        assert len(probabilities) == -(-count // VAD_WINDOW_SAMPLES)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_later_sound_does_not_change_probabilities() -> None:
    sound = noise(16_000, 1)[:, 0]
    other = sound.copy()
    other[20 * VAD_WINDOW_SAMPLES :] *= 3
    assert np.array_equal(detect_speech(sound)[:20], detect_speech(other)[:20])


def test_noise_and_silence_are_not_speech() -> None:
    assert detect_speech(np.zeros(16_000, np.float32)).max() < 0.5
    assert np.mean(detect_speech(noise(16_000, 2)[:, 0]) > 0.5) < 0.1


def test_a_second_stream_is_independent() -> None:
    detector = VoiceActivityDetector()
    sound = babble(16_000, 0.5)[:, 0]
    first = np.concatenate([detector.push(sound), detector.flush()])
    assert np.array_equal(np.concatenate([detector.push(sound), detector.flush()]), first)


COUNT_THREADS = """
import os, numpy
from liveavatar.audio.dsp.vad import VoiceActivityDetector
before = len(os.listdir("/proc/self/task"))
VoiceActivityDetector().push(numpy.zeros(5120, numpy.float32))
print(len(os.listdir("/proc/self/task")) - before, os.environ.get("OMP_THREAD_LIMIT"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
@pytest.mark.parametrize("limit", [None, "7"])
def test_the_detector_starts_no_threads_and_leaves_the_limit_of_others(limit: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_THREAD_LIMIT"}
    if limit:
        environment["OMP_THREAD_LIMIT"] = limit
    done = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["0", str(limit)], done.stderr

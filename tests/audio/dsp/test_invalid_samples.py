"""NaN, infinity and huge values become silence, and are counted once for all channels."""

import numpy as np

from liveavatar.audio.dsp.invalid_samples import MAX_AMPLITUDE, silence_invalid_samples


def test_invalid_samples_are_silenced_and_counted() -> None:
    samples = np.array([[np.nan, np.inf], [0.5, -1e30], [MAX_AMPLITUDE, -0.25]], np.float32)
    silenced, count = silence_invalid_samples(samples)
    assert count == 2
    assert np.array_equal(silenced, np.array([[0, 0], [0.5, 0], [MAX_AMPLITUDE, -0.25]], np.float32))


def test_valid_samples_are_not_copied() -> None:
    samples = np.ones((4, 1), np.float32)
    silenced, count = silence_invalid_samples(samples)
    assert silenced is samples
    assert count == 0

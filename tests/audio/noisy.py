"""Speech with noise, and marks for tests of RNNoise."""

from importlib.util import find_spec

import numpy as np
import pytest

from liveavatar.frames import Samples

_MISSING = find_spec("pyrnnoise") is None
needs_rnnoise = pytest.mark.skipif(_MISSING, reason="pyrnnoise is not installed")
needs_rnnoise_missing = pytest.mark.skipif(not _MISSING, reason="pyrnnoise is installed")


def add_noise(speech: Samples) -> Samples:
    """White noise at -40 dB of full scale, seeded."""
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(speech))
    return (speech + noise).astype(np.float32)

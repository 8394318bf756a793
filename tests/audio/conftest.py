"""Speech that tests damage."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.io.decode import open_audio
from liveavatar.frames import Samples


@pytest.fixture(scope="session")
def speech() -> Samples:
    """Nine seconds of clear English, 16 kHz mono, at -20 dB."""
    with open_audio(Path(str(files("liveavatar") / "assets" / "demo_en.ogg"))) as stream:
        sound = np.concatenate([chunk.samples[:, 0] for chunk in stream])
    sound = Resampler(stream.info.rate).resample_chunk(sound, last=True)
    return (sound * np.float32(0.1 / np.sqrt(np.square(sound).mean()))).astype(np.float32)

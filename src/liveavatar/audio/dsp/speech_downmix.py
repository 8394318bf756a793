"""Converts a stream of any rate and channel layout to the 16 kHz mono that engines take: downmix, then resample."""

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.downmix import Downmixer
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.frames import Samples


class SpeechDownmixer:
    """Converts one stream. n samples give `round(n·16000/rate)`, at least one; any chunking gives the same samples."""

    def __init__(self, rate: int, layout: tuple[str, ...]) -> None:
        self._downmixer = Downmixer(rate, layout)
        self._resampler = Resampler(rate)

    @property
    def inverted_share(self) -> float:
        """Share of the time so far in which the polarity of the right side was inverted, 0…1."""
        return self._downmixer.inverted_step_count / max(self._downmixer.step_count, 1)

    def push(self, samples: NDArray[np.float32]) -> Samples:
        """Convert float32 [n, channels]; returns the samples that are ready, float32 [m]."""
        return self._resampler.resample_chunk(self._downmixer.push(samples))

    def flush(self) -> Samples:
        """End the stream; returns the remaining samples, float32 [m]."""
        return self._resampler.resample_chunk(self._downmixer.flush(), last=True)

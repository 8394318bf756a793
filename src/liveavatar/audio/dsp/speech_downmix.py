"""Sound of one rate and layout into the 16 kHz mono that engines hear: mixed down, then resampled."""

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.downmix import Downmixer
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.frames import Samples


class SpeechDownmixer:
    """One stream; n samples in give `round(n·16000/rate)` out, at least one. Any chunking gives the same."""

    def __init__(self, rate: int, layout: tuple[str, ...]) -> None:
        self._downmixer = Downmixer(rate, layout)
        self._resampler = Resampler(rate)

    @property
    def inverted_share(self) -> float:
        """Share of the time so far in which one side was turned over, 0…1."""
        return self._downmixer.inverted_step_count / max(self._downmixer.step_count, 1)

    def push(self, samples: NDArray[np.float32]) -> Samples:
        """Hear float32 [n, channels]; gives float32 [m]."""
        return self._resampler.resample_chunk(self._downmixer.push(samples))

    def flush(self) -> Samples:
        """End the stream: gives the rest, float32 [m]."""
        return self._resampler.resample_chunk(self._downmixer.flush(), last=True)

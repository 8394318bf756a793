"""The kind of a sound that is not speech: music, noise (applause too) or other."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.analysis.histogram import find_percentile_bin
from liveavatar.audio.spectral.framing import StreamFramer
from liveavatar.frames import Samples

SoundKind = Literal["music", "noise", "other"]

_WINDOW_SAMPLES, _HOP_SAMPLES = 1024, 512  # 64 ms and 32 ms
_BAND_BINS = slice(8, 224)  # 125…3500 Hz: a telephone carries them too
_MIN_AUDIBLE_POWER = 1e-5  # of a window: -50 dB
_HISTOGRAM_BINS = 50
_NOISE_FLATNESS = 0.2  # spectral flatness: geometric over arithmetic mean of the power
_MUSIC_SIMILARITY = 0.75  # of neighbouring spectra: notes are held
_MIN_SPECTRUM_COUNT = 15  # half a second


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundTexture:
    """The `kind` of sound if it is not speech, and the `spectral_similarity` of neighbouring windows, 0…1.

    The similarity is the correlation of log spectra: about 0.6 for clear speech, 0.7 and more in a room with an echo,
    less under noise.
    """

    kind: SoundKind
    spectral_similarity: float


class SoundTextureMeter:
    """Measures the `SoundTexture` of one stream at 16 kHz. Any chunking gives the same."""

    def __init__(self) -> None:
        self._framer = StreamFramer(_WINDOW_SAMPLES, _HOP_SAMPLES)
        self._window = np.hanning(_WINDOW_SAMPLES).astype(np.float32)
        self._flatness_histogram = np.zeros(_HISTOGRAM_BINS, np.int64)
        self._similarity_histogram = np.zeros(_HISTOGRAM_BINS, np.int64)
        self._last_shape: NDArray[np.float64] | None = None

    def push(self, samples: Samples) -> None:
        """Take the next float32 [n]."""
        for frame in self._framer.push(samples):
            self._add_spectrum(frame)

    def finish(self) -> SoundTexture | None:
        """The texture of most of the stream, by medians; None for less than half a second of sound."""
        if min(self._flatness_histogram.sum(), self._similarity_histogram.sum()) < _MIN_SPECTRUM_COUNT:
            return None
        similarity = _histogram_median(self._similarity_histogram)
        if _histogram_median(self._flatness_histogram) >= _NOISE_FLATNESS:
            return SoundTexture(kind="noise", spectral_similarity=similarity)
        return SoundTexture(
            kind="music" if similarity >= _MUSIC_SIMILARITY else "other", spectral_similarity=similarity
        )

    def _add_spectrum(self, frame: Samples) -> None:
        if float(np.square(frame).mean()) < _MIN_AUDIBLE_POWER:
            self._last_shape = None
            return
        power = np.square(np.abs(np.fft.rfft(frame * self._window)))[_BAND_BINS] + 1e-12
        levels = np.log(power, dtype=np.float64)
        _count_share(self._flatness_histogram, float(np.exp(levels.mean()) / power.mean()))
        shape = levels - levels.mean()
        shape /= np.sqrt(shape @ shape) + 1e-12
        if self._last_shape is not None:
            _count_share(self._similarity_histogram, float(shape @ self._last_shape))
        self._last_shape = shape


def _count_share(histogram: NDArray[np.int64], share: float) -> None:
    histogram[min(max(int(share * _HISTOGRAM_BINS), 0), _HISTOGRAM_BINS - 1)] += 1


def _histogram_median(histogram: NDArray[np.int64]) -> float:
    return float(find_percentile_bin(histogram, 0.5) + 0.5) / _HISTOGRAM_BINS

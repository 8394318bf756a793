"""What tells the speed of speech: spectra over log-frequency and periodicity over log-lag.

Sound played too fast or too slowly moves along both axes and is squeezed in time, whoever speaks. A *look* is
`LOOK` samples at 16 kHz, seen in `STEPS` steps of 20 ms; every look stands for itself, so that memory is constant.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

STEP = 320
STEPS = 200
LONG, SHORT = 1024, 400
"""Samples of the window for periodicity, and of those for spectra, two a step, 10 ms apart."""

LOOK = (STEPS - 1) * STEP + LONG
"""Samples of one look, 4.04 s."""

BANDS, LOWEST, HIGHEST = 44, 80.0, 7800.0
SHORT_FFT, LONG_FFT = 512, 2048
LAGS, SHORTEST, LONGEST = 40, 16.0, 500.0
"""Lags in samples: 1000 Hz down to 32 Hz."""

WIDTH = 2 * BANDS + LAGS
FLOOR = 1e-12
SILENT = -60.0
"""dBFS: a look whose loud steps are quieter has nothing to say."""

Steps = NDArray[np.float32]


def look(samples: Samples) -> Steps | None:
    """Steps of one look, [STEPS, WIDTH]; None if it is silent.

    Anything shorter than `LOOK` (but at least `LONG`) is seen over and over.
    """
    framed = sliding_window_view(samples, LONG)[::STEP][:STEPS]
    starts = ((LONG - SHORT) // 2 - STEP // 4, (LONG - SHORT) // 2 + STEP // 4)
    spectra = [_spectrum(framed[:, start : start + SHORT]) for start in starts]
    loud = np.percentile(np.max(spectra[0], axis=1), 95)
    if loud < SILENT:
        return None
    levels = [np.clip((bands - loud) / 20.0 + 1.0, -2.0, 1.5) for bands in spectra]
    steps = np.concatenate([*levels, 2.0 * _periodicity(framed)], axis=1).astype(np.float32)
    return np.resize(steps, (STEPS, WIDTH))


def _spectrum(windows: Steps) -> Steps:
    """Decibels in each band, [n, BANDS]."""
    spectrum = np.fft.rfft(windows * _taper(SHORT), SHORT_FFT)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return np.asarray(10.0 * np.log10(power @ _bands() + FLOOR), np.float32)


def _periodicity(windows: Steps) -> Steps:
    """Autocorrelation at each lag relative to lag 0, [n, LAGS].

    Taken of the magnitude, not of the power, so that one strong formant does not drown the voice
    (T. Tolonen and M. Karjalainen, 2000).
    """
    magnitude = np.abs(np.fft.rfft(windows * _taper(LONG), LONG_FFT)).astype(np.float32)
    lags = np.fft.irfft(magnitude, LONG_FFT)
    at = np.geomspace(SHORTEST, LONGEST, LAGS)
    whole = at.astype(int)
    part = at - whole
    mixed = lags[:, whole] * (1.0 - part) + lags[:, whole + 1] * part
    return np.asarray(mixed / (lags[:, :1] + FLOOR), np.float32)


@cache
def _taper(size: int) -> NDArray[np.float32]:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
    return np.asarray(hann / np.sqrt(SHORT_FFT * np.sum(hann**2)), np.float32)


@cache
def _bands() -> NDArray[np.float32]:
    """Triangles at equal steps of log-frequency, nowhere narrower than a bin, [257, BANDS]."""
    centres = np.geomspace(LOWEST, HIGHEST, BANDS)
    bin_width = SAMPLE_RATE / SHORT_FFT
    half = np.maximum(centres * (centres[1] / centres[0] - 1.0), bin_width)
    hertz = np.arange(SHORT_FFT // 2 + 1)[:, None] * bin_width
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(hertz - centres) / half), np.float32)

"""Features that show the speed of speech: spectra over log-frequency and periodicity over log-lag.

A change of speed shifts both along their axes and changes the pace. A segment is `SEGMENT_SAMPLES` at 16 kHz in
`STEP_COUNT` steps of 20 ms. Segments are independent of each other, so memory is constant.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.spectral.filter_bank import make_triangles_between
from liveavatar.audio.spectral.framing import slice_windows
from liveavatar.audio.spectral.spectrum import compute_power_spectrum, make_hann_window, power_to_decibels
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

STEP_SAMPLES = 320  # 20 ms
STEP_COUNT = 200
PERIODICITY_WINDOW, SPECTRUM_WINDOW = 1024, 400
"""Samples of the one window for periodicity and of the two for spectra in a step; the two are 10 ms apart."""

SEGMENT_SAMPLES = (STEP_COUNT - 1) * STEP_SAMPLES + PERIODICITY_WINDOW
"""4.04 s."""

BAND_COUNT, LOWEST_BAND_HZ, HIGHEST_BAND_HZ = 44, 80.0, 7800.0
SPECTRUM_FFT_SIZE, PERIODICITY_FFT_SIZE = 512, 2048
LAG_COUNT, SHORTEST_LAG, LONGEST_LAG = 40, 16.0, 500.0
"""In samples: F0 of 1000 Hz down to 32 Hz."""

FEATURE_COUNT = 2 * BAND_COUNT + LAG_COUNT
POWER_FLOOR = 1e-12
SILENCE_DBFS = -60.0
"""A segment is silent if its loud steps (95th percentile) are below."""

StepFeatures = NDArray[np.float32]


def extract_rate_features(samples: Samples) -> StepFeatures | None:
    """Features of one segment, [STEP_COUNT, FEATURE_COUNT]; None if it is silent.

    A shorter segment, of at least `PERIODICITY_WINDOW` samples, is repeated.
    """
    windows = slice_windows(samples, PERIODICITY_WINDOW, STEP_SAMPLES)[:STEP_COUNT]
    return scale_steps(measure_windows(windows))


def measure_windows(windows: NDArray[np.float32]) -> StepFeatures:
    """Two spectra in dB and the periodicity of every window [n, PERIODICITY_WINDOW], [n, FEATURE_COUNT]."""
    middle = (PERIODICITY_WINDOW - SPECTRUM_WINDOW) // 2
    spectra = [
        _compute_band_levels(windows[:, start : start + SPECTRUM_WINDOW])
        for start in (middle - STEP_SAMPLES // 4, middle + STEP_SAMPLES // 4)
    ]
    return np.concatenate([*spectra, _compute_periodicity(windows)], axis=1)


def scale_steps(measured: StepFeatures) -> StepFeatures | None:
    """What `measure_windows` gives for one segment, relative to its loud steps, [STEP_COUNT, FEATURE_COUNT]; None if it
    is silent. Fewer steps are repeated."""
    levels, periodicity = measured[:, : 2 * BAND_COUNT], measured[:, 2 * BAND_COUNT :]
    loud = np.percentile(np.max(levels[:, :BAND_COUNT], axis=1), 95)
    if loud < SILENCE_DBFS:
        return None
    relative = np.clip((levels - loud) / 20.0 + 1.0, -2.0, 1.5)
    steps = np.concatenate([relative, 2.0 * periodicity], axis=1).astype(np.float32)
    return np.resize(steps, (STEP_COUNT, FEATURE_COUNT))


def _compute_band_levels(windows: StepFeatures) -> StepFeatures:
    """Level of each band in dB, [n, BAND_COUNT]."""
    power = compute_power_spectrum(windows, _scaled_hann(SPECTRUM_WINDOW), SPECTRUM_FFT_SIZE)
    return np.asarray(power_to_decibels(power @ _band_filters(), POWER_FLOOR), np.float32)


def _compute_periodicity(windows: StepFeatures) -> StepFeatures:
    """Autocorrelation at each lag relative to lag 0, [n, LAG_COUNT].

    It is that of the magnitude, not of the power, so that one strong formant does not dominate
    (T. Tolonen and M. Karjalainen, 2000).
    """
    magnitude = np.abs(np.fft.rfft(windows * _scaled_hann(PERIODICITY_WINDOW), PERIODICITY_FFT_SIZE)).astype(
        np.float32
    )
    lags = np.fft.irfft(magnitude, PERIODICITY_FFT_SIZE)
    places = np.geomspace(SHORTEST_LAG, LONGEST_LAG, LAG_COUNT)
    below = places.astype(int)
    part = places - below
    interpolated = lags[:, below] * (1.0 - part) + lags[:, below + 1] * part
    return np.asarray(interpolated / (lags[:, :1] + POWER_FLOOR), np.float32)


@cache
def _scaled_hann(size: int) -> NDArray[np.float32]:
    return make_hann_window(size, SPECTRUM_FFT_SIZE)


@cache
def _band_filters() -> NDArray[np.float32]:
    """Triangles at equal steps of log-frequency, none narrower than a bin, [257, BAND_COUNT]."""
    centres = np.geomspace(LOWEST_BAND_HZ, HIGHEST_BAND_HZ, BAND_COUNT)
    bin_width = SAMPLE_RATE / SPECTRUM_FFT_SIZE
    half = np.maximum(centres * (centres[1] / centres[0] - 1.0), bin_width)
    hertz = np.arange(SPECTRUM_FFT_SIZE // 2 + 1) * bin_width
    return make_triangles_between(hertz, centres - half, centres, centres + half).astype(np.float32)

"""Power spectra of windows, decibels, and the place of a peak between two points of a curve."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


def make_hann_window(size: int, fft_size: int) -> Rows:
    """A symmetric Hann window, scaled so that a window's mean power is the sum over all `fft_size` bins, [size]."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
    return np.asarray(hann / np.sqrt(fft_size * np.sum(hann**2)), np.float32)


def compute_power_spectrum(windows: Rows, taper: Rows, fft_size: int) -> Rows:
    """Squared magnitudes of windows [n, size] times a taper [size], [n, fft_size // 2 + 1]."""
    spectrum = np.fft.rfft(windows * taper, fft_size)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32)


def power_to_decibels(power: NDArray[np.floating[Any]], floor: float) -> NDArray[np.floating[Any]]:
    """10·log10(power + floor); `floor` keeps silence finite."""
    return np.asarray(10 * np.log10(power + floor))


def interpolate_peak(
    left: NDArray[Any], top: NDArray[Any], right: NDArray[Any], reach: float
) -> NDArray[Any]:
    """Where the parabola through three neighbours is highest, in steps from the middle one, within ±`reach`."""
    bend = 2 * top - left - right
    return np.clip(np.where(bend > 0, (right - left) / (2 * np.maximum(bend, 1e-12)), 0.0), -reach, reach)

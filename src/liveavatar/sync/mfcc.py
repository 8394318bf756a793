"""Mel-frequency cepstra as SyncNet was trained on: those of the package python_speech_features by default."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_FRAME, _STEP, _FFT = 400, 160, 512
_FILTERS, _CEPSTRA, _LIFTER = 26, 13, 22
_EMPHASIS = 0.97
_FULL_SCALE = 32768.0

Array = NDArray[np.float64]


def mfcc(samples: Samples) -> Array:
    """13 cepstra at 100 Hz of sound at 16 kHz within -1…1, [steps, 13]; the first is the log of the energy.

    Davis and Mermelstein 1980; samples count as 16-bit numbers, windows are rectangular.
    """
    sound = np.round(samples.astype(np.float64) * _FULL_SCALE)
    sound = np.append(sound[:1], sound[1:] - _EMPHASIS * sound[:-1])
    steps = 1 + max(0, -(-(len(sound) - _FRAME) // _STEP))
    padded = np.pad(sound, (0, max(0, (steps - 1) * _STEP + _FRAME - len(sound))))
    power = np.abs(np.fft.rfft(sliding_window_view(padded, _FRAME)[::_STEP][:steps], _FFT)) ** 2 / _FFT
    tiny = np.finfo(np.float64).eps
    mel = np.log(np.maximum(power @ _filters().T, tiny))
    lift = 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(_CEPSTRA) / _LIFTER)
    cepstra = (mel @ _cosines()) * lift
    cepstra[:, 0] = np.log(np.maximum(power.sum(axis=1), tiny))
    return cepstra


def _filters() -> Array:
    """Triangles over the bins of the spectrum, [26, 257], their corners equally far apart in mel."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, _FILTERS + 2) / 2595) - 1)
    corners = np.floor((_FFT + 1) * hertz / SAMPLE_RATE)
    bins = np.arange(_FFT // 2 + 1)
    rising = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def _cosines() -> Array:
    """The orthonormal cosine transform (type II) from 26 filters to 13 cepstra, [26, 13]."""
    angle = np.pi * (np.arange(_FILTERS)[:, None] + 0.5) * np.arange(_CEPSTRA) / _FILTERS
    scale = np.full(_CEPSTRA, np.sqrt(2 / _FILTERS))
    scale[0] = np.sqrt(1 / _FILTERS)
    return np.asarray(np.cos(angle) * scale)

"""Mel-frequency cepstra of SyncNet: those of python_speech_features 0.6 with its defaults.

Own lines: SyncNet's scores depend on exactly these numbers, and they save a dependency.
"""

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.spectral.filter_bank import hertz_to_htk_mel, htk_mel_to_hertz, make_triangles
from liveavatar.audio.spectral.framing import slice_windows
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

_FRAME_SAMPLES, _STEP_SAMPLES, _FFT_SIZE = 400, 160, 512
_FILTER_COUNT, _CEPSTRUM_COUNT, _LIFTER_LENGTH = 26, 13, 22
_PRE_EMPHASIS = 0.97
_FULL_SCALE = 32768.0

Array = NDArray[np.float64]


def compute_mfcc(samples: Samples) -> Array:
    """13 cepstra every 10 ms of sound at 16 kHz within -1…1, [steps, 13]; the first is the log of the energy.

    Davis and Mermelstein (1980), on 16-bit integers, with rectangular windows.
    """
    sound = np.round(samples.astype(np.float64) * _FULL_SCALE)
    sound = np.append(sound[:1], sound[1:] - _PRE_EMPHASIS * sound[:-1])
    steps = 1 + max(0, -(-(len(sound) - _FRAME_SAMPLES) // _STEP_SAMPLES))
    padded = np.pad(sound, (0, max(0, (steps - 1) * _STEP_SAMPLES + _FRAME_SAMPLES - len(sound))))
    windows = slice_windows(padded, _FRAME_SAMPLES, _STEP_SAMPLES, steps)
    power = np.abs(np.fft.rfft(windows, _FFT_SIZE)) ** 2 / _FFT_SIZE
    tiny = np.finfo(np.float64).eps
    mel = np.log(np.maximum(power @ _make_mel_filters(), tiny))
    lift = 1 + _LIFTER_LENGTH / 2 * np.sin(np.pi * np.arange(_CEPSTRUM_COUNT) / _LIFTER_LENGTH)
    cepstra = (mel @ _make_dct_matrix()) * lift
    cepstra[:, 0] = np.log(np.maximum(power.sum(axis=1), tiny))
    return cepstra


def _make_mel_filters() -> Array:
    """Triangles over the bins of the spectrum, with corners at equal distances in mel, [257, 26]."""
    top = hertz_to_htk_mel(np.array(SAMPLE_RATE / 2))
    hertz = htk_mel_to_hertz(np.linspace(0, top, _FILTER_COUNT + 2))
    corners = np.floor((_FFT_SIZE + 1) * hertz / SAMPLE_RATE)
    return np.asarray(make_triangles(np.arange(_FFT_SIZE // 2 + 1.0), corners), np.float64)


def _make_dct_matrix() -> Array:
    """The orthonormal DCT-II from 26 filters to 13 cepstra, [26, 13]."""
    angle = np.pi * (np.arange(_FILTER_COUNT)[:, None] + 0.5) * np.arange(_CEPSTRUM_COUNT) / _FILTER_COUNT
    scale = np.full(_CEPSTRUM_COUNT, np.sqrt(2 / _FILTER_COUNT))
    scale[0] = np.sqrt(1 / _FILTER_COUNT)
    return np.asarray(np.cos(angle) * scale)

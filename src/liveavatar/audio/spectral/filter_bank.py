"""Triangular filter banks and the two mel scales in use: HTK's (O'Shaughnessy 1987) and Slaney's (1998)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_SLANEY_BREAK_MEL = 15.0  # 1,000 Hz: linear below, logarithmic above
_SLANEY_LOG_STEPS = 27.0  # mel steps between 1,000 and 6,400 Hz


def make_triangles(points: Floats, edges: Floats) -> Floats:
    """Triangles with a peak of 1; each begins and ends at its neighbours' peaks, [points, edges - 2].

    `points` are the places where the filters are read, `edges` the ascending corners, in the same unit.
    """
    return make_triangles_between(points, edges[:-2], edges[1:-1], edges[2:])


def make_triangles_between(points: Floats, lower: Floats, peaks: Floats, upper: Floats) -> Floats:
    """Triangles from `lower` over a peak of 1 at `peaks` to `upper`, [points, peaks]."""
    rising = (points[:, None] - lower) / (peaks - lower)
    falling = (upper - points[:, None]) / (upper - peaks)
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))


def hertz_to_htk_mel(hertz: Floats) -> Floats:
    """2595·log10(1 + f/700)."""
    return np.asarray(2595.0 * np.log10(1.0 + hertz / 700.0))


def htk_mel_to_hertz(mel: Floats) -> Floats:
    """The inverse of `hertz_to_htk_mel`."""
    return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))


def slaney_mel_to_hertz(mel: Floats) -> Floats:
    """Slaney's Auditory Toolbox: linear up to 1 kHz, equal ratios above."""
    above = 1000.0 * 6.4 ** ((mel - _SLANEY_BREAK_MEL) / _SLANEY_LOG_STEPS)
    return np.where(mel < _SLANEY_BREAK_MEL, mel * 200.0 / 3.0, above)


def hertz_to_slaney_mel(hertz: float) -> float:
    """The inverse of `slaney_mel_to_hertz` above 1 kHz."""
    return float(_SLANEY_BREAK_MEL + _SLANEY_LOG_STEPS * np.log(hertz / 1000.0) / np.log(6.4))

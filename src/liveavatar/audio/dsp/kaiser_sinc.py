"""Windowed-sinc filters for reading a signal between its samples."""

import numpy as np
from numpy.typing import NDArray


def design_kaiser_sinc(
    offsets: NDArray[np.float64], half_width: float, beta: float, cutoff: float = 1.0
) -> NDArray[np.float32]:
    """Sinc under a Kaiser window (Kaiser and Schafer 1980), one filter of unit gain per row, float32 [filters, taps].

    `offsets` are the distances in samples of each tap from the point that is read. The window reaches `half_width`
    samples to each side. `cutoff` is a share of the Nyquist frequency.
    """
    window = np.i0(beta * np.sqrt(np.clip(1 - (offsets / half_width) ** 2, 0, 1)))
    filters = np.sinc(cutoff * offsets) * window
    normalised: NDArray[np.float32] = (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised

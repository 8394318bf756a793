"""Powers and amplitudes in decibels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def power_to_decibels(power: NDArray[np.floating[Any]], floor: float) -> NDArray[np.floating[Any]]:
    """10·log10(power + floor); `floor` keeps silence finite."""
    return np.asarray(10 * np.log10(power + floor))

"""Full scale of float samples: 1 by convention, but some programs store integers as floats, up to 32768 or more."""

import numpy as np
from numpy.typing import NDArray

_BLOCK_SAMPLES = 256  # of which the peak is taken: 5 ms at 48 kHz
_ENOUGH_BLOCKS = 20_000  # with sound: 100 s, enough to tell
_LOUD_PEAK = 4.0  # 12 dB over a full scale of 1
_MIN_LOUD_SHARE = 0.1  # of blocks with sound: a few damaged samples are no other scale
_MIN_INTEGER_PEAK = (
    64.0  # that loud blocks reach: 36 dB over a full scale of 1, and 54 dB under one of 16 bits
)
_INTEGER_SCALES = (2.0**15, 2.0**23, 2.0**31)
_SCALE_MARGIN = 1.5  # by which peaks may exceed an integer scale
_TYPICAL_PEAK = 0.9  # quantile of the peaks of loud blocks


class FullScaleMeter:
    """Tells from the peaks of short blocks whether samples are floats up to 1, or integers of 16, 24 or 32 bits."""

    def __init__(self) -> None:
        self._peaks: list[NDArray[np.float32]] = []
        self._block_count = 0

    @property
    def is_certain(self) -> bool:
        """Whether there is enough sound; more would not change the result."""
        return self._block_count >= _ENOUGH_BLOCKS

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take the next float32 [n, channels]; samples that are not numbers count as silence."""
        if not len(samples):
            return
        loudest = np.nan_to_num(np.abs(samples).max(axis=1), nan=0.0, posinf=0.0)
        peaks = np.maximum.reduceat(loudest, np.arange(0, len(loudest), _BLOCK_SAMPLES))
        self._peaks.append(peaks[(peaks > 0) & (peaks < _INTEGER_SCALES[-1] * _SCALE_MARGIN)])
        self._block_count += len(self._peaks[-1])

    def finish(self) -> float:
        """Full scale: 1, 2^15, 2^23 or 2^31."""
        peaks = np.concatenate([np.empty(0, np.float32), *self._peaks])
        loud = peaks[peaks > _LOUD_PEAK]
        if not len(loud) or len(loud) < _MIN_LOUD_SHARE * len(peaks):
            return 1.0
        typical = float(np.quantile(loud, _TYPICAL_PEAK))
        fitting = (scale for scale in _INTEGER_SCALES if typical <= scale * _SCALE_MARGIN)
        return next(fitting, 1.0) if typical >= _MIN_INTEGER_PEAK else 1.0

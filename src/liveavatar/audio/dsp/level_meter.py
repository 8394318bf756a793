"""Loudness, true peak and constant offset of one stream."""

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.gain import SignalLevel
from liveavatar.audio.dsp.loudness import LoudnessMeter
from liveavatar.audio.dsp.true_peak import TruePeakMeter


class LevelMeter:
    """Measures the `SignalLevel` of one stream."""

    def __init__(self, rate: int, layout: tuple[str, ...]) -> None:
        self._loudness = LoudnessMeter(rate, layout)
        self._true_peak = TruePeakMeter(rate, len(layout))
        self._sum = np.zeros(len(layout))
        self._sample_count = 0

    @property
    def channel_offsets(self) -> tuple[float, ...]:
        """The constant offset of each channel so far, full scale 1."""
        return tuple((self._sum / max(self._sample_count, 1)).tolist())

    def push(self, planes: NDArray[np.float32]) -> None:
        """Take the next float32 [channels, n]."""
        self._loudness.push(planes)
        self._true_peak.push(planes)
        self._sum += planes.sum(axis=1, dtype=np.float64)
        self._sample_count += planes.shape[1]

    def finish(self) -> SignalLevel:
        """The level of the whole stream. Of several channels, the offset is the largest."""
        offset = max(self.channel_offsets, key=abs)
        return SignalLevel(
            loudness=self._loudness.finish(), true_peak=self._true_peak.finish(), dc_offset=offset
        )

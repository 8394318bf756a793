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

    def push(self, planes: NDArray[np.float32]) -> None:
        """Take the next float32 [channels, n]."""
        self._loudness.push(planes)
        self._true_peak.push(planes)
        self._sum += planes.sum(axis=1, dtype=np.float64)
        self._sample_count += planes.shape[1]

    def finish(self) -> SignalLevel:
        """The level of the whole stream. Of several channels, the offset is the largest."""
        means = self._sum / max(self._sample_count, 1)
        offset = float(means[np.abs(means).argmax()])
        return SignalLevel(
            loudness=self._loudness.finish(), true_peak=self._true_peak.finish(), dc_offset=offset
        )

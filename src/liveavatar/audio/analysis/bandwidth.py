"""The highest frequency with sound: a recording taken at 8 kHz ends at 4 kHz, whatever rate it is stored at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.analysis.histogram import find_percentile_bin, level_to_bin
from liveavatar.audio.spectral.framing import StreamFramer
from liveavatar.audio.spectral.spectrum import power_to_decibels

_SPECTRA_PER_SECOND = 8  # enough to meet every kind of consonant
_BAND_WIDTH_HZ = 125.0
_MIN_WINDOW_SECONDS = 0.04
_LOWEST_DB, _LEVEL_COUNT = -180, 300  # bins of 1 dB
_POWER_FLOOR = 1e-18  # -180 dB, the lowest level
_LEVEL_PERCENTILE = 0.9  # the level of a band is high in its distribution: consonants are rare
_EDGE_DROP_DB = 15.0  # everything above a sharp edge lies so far below the bands under it
_BANDS_BELOW_EDGE = 6  # bands under a sharp edge, all of which must be loud
_TRANSITION_BANDS = 2  # bands over it in which a filter falls
_EMPTY_BELOW_PEAK_DB = 70.0  # bands so far below the loudest carry nothing that matters


@dataclass(frozen=True, slots=True, kw_only=True)
class BandLimit:
    """Above `edge_hz` there is next to no sound; `is_sharp` if a filter cut it off there."""

    edge_hz: float
    is_sharp: bool


class BandwidthMeter:
    """Measures the `BandLimit` of one stream. Any chunking gives the same."""

    def __init__(self, rate: int, channels: int) -> None:
        self._window_size = 1 << int(np.ceil(np.log2(max(64, _MIN_WINDOW_SECONDS * rate))))
        self._window = np.hanning(self._window_size).astype(np.float32)
        bins = np.fft.rfftfreq(self._window_size, 1 / rate)
        self._band_starts = np.unique(np.searchsorted(bins, np.arange(0, rate / 2, _BAND_WIDTH_HZ)))
        self._band_edges = bins[self._band_starts]
        self._nyquist = rate / 2
        self._level_histograms = np.zeros((len(self._band_starts), _LEVEL_COUNT), np.int64)
        self._framer = StreamFramer(self._window_size, max(1, rate // _SPECTRA_PER_SECOND), channels)

    def push(self, planes: NDArray[np.float32]) -> None:
        """Take the next float32 [channels, n]."""
        for frame in self._framer.push(planes):
            self._add_spectrum(frame)

    def finish(self) -> BandLimit | None:
        """The limit of the whole stream; None for silence and for streams shorter than one window."""
        if not self._level_histograms.any():
            return None
        levels = find_percentile_bin(self._level_histograms, _LEVEL_PERCENTILE) + _LOWEST_DB
        edge = _find_sharp_edge(levels)
        if edge is not None:
            return BandLimit(edge_hz=float(self._band_edges[edge]), is_sharp=True)
        used = np.flatnonzero(levels > levels.max() - _EMPTY_BELOW_PEAK_DB)
        above = used[-1] + 1
        return BandLimit(
            edge_hz=float(self._band_edges[above]) if above < len(levels) else self._nyquist, is_sharp=False
        )

    def _add_spectrum(self, frame: NDArray[np.float32]) -> None:
        if not frame.any():
            return
        spectrum = np.fft.rfft((frame - frame.mean(axis=1, keepdims=True)) * self._window)
        power = np.square(np.abs(spectrum)).sum(axis=0, dtype=np.float64)
        widths = np.diff(np.append(self._band_starts, len(power)))
        levels = power_to_decibels(np.add.reduceat(power, self._band_starts) / widths, _POWER_FLOOR)
        index = level_to_bin(levels, _LOWEST_DB, _LEVEL_COUNT)
        self._level_histograms[np.arange(len(index)), index] += 1


def _find_sharp_edge(levels: NDArray[np.int64]) -> int | None:
    """The band above which the level drops most and stays low; None if it drops by less than `_EDGE_DROP_DB`."""
    highest_above = np.maximum.accumulate(levels[::-1])[::-1]
    places = range(_BANDS_BELOW_EDGE, len(levels) - _TRANSITION_BANDS - _BANDS_BELOW_EDGE)
    drops = [
        levels[place - _BANDS_BELOW_EDGE : place].min() - highest_above[place + _TRANSITION_BANDS]
        for place in places
    ]
    if not drops or max(drops) < _EDGE_DROP_DB:
        return None
    return int(np.argmax(drops)) + _BANDS_BELOW_EDGE

"""Up to which pitch a recording carries sound: an 8 kHz recording stays one at whatever rate it is stored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_A_SECOND = 8  # places looked at: speech is sought over the whole file, not in every millisecond
_BAND = 125.0  # Hz
_WINDOW = 0.04  # seconds, at least
_LOWEST, _LEVELS = -180, 300  # dB; levels of one band, counted in steps of 1 dB
_USED = 0.9  # share of the places below the level that stands for a band: consonants are rare
_CLIFF = 15.0  # dB by which everything above an edge lies below what is under it
_UNDER, _OVER = 6, 2  # bands under an edge that must be loud, bands over it that a filter takes to fall
_EMPTY = 70.0  # dB below the loudest band: nothing that matters


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """`edge` in Hz, above which there is next to nothing; `sharp` when it was cut off there by a filter."""

    edge: float
    sharp: bool


class Bandwidth:
    """Measures the `Band` of one stream. Any chunking gives the same."""

    def __init__(self, rate: int, channels: int) -> None:
        self._size = 1 << int(np.ceil(np.log2(max(64, _WINDOW * rate))))
        self._step = max(1, rate // _A_SECOND)
        self._window = np.hanning(self._size).astype(np.float32)
        bins = np.fft.rfftfreq(self._size, 1 / rate)
        self._starts = np.unique(np.searchsorted(bins, np.arange(0, rate / 2, _BAND)))
        self._edges = bins[self._starts]
        self._top = rate / 2
        self._counts = np.zeros((len(self._starts), _LEVELS), np.int64)
        self._waiting = np.empty((channels, 0), np.float32)
        self._ahead = 0  # samples until the next place, when that lies beyond what waits

    def push(self, planes: NDArray[np.float32]) -> None:
        """Hear float32 [channels, n]."""
        skipped = planes[:, self._ahead :]
        self._ahead -= planes.shape[1] - skipped.shape[1]
        self._waiting = np.concatenate([self._waiting, skipped], axis=1)
        while self._waiting.shape[1] >= self._size:
            self._look(self._waiting[:, : self._size])
            self._ahead = max(0, self._step - self._waiting.shape[1])
            self._waiting = self._waiting[:, self._step :]

    def finish(self) -> Band | None:
        """What was found; None for silence, and for less than one place."""
        total = self._counts.sum(axis=1)
        if not total.any():
            return None
        passed = self._counts.cumsum(axis=1) >= np.ceil(_USED * total)[:, None]
        levels = passed.argmax(axis=1) + _LOWEST
        edge = _cliff(levels)
        if edge is not None:
            return Band(edge=float(self._edges[edge]), sharp=True)
        used = np.flatnonzero(levels > levels.max() - _EMPTY)
        above = used[-1] + 1
        return Band(edge=float(self._edges[above]) if above < len(levels) else self._top, sharp=False)

    def _look(self, piece: NDArray[np.float32]) -> None:
        if not piece.any():
            return
        spectrum = np.fft.rfft((piece - piece.mean(axis=1, keepdims=True)) * self._window)
        power = np.square(np.abs(spectrum)).sum(axis=0, dtype=np.float64)
        widths = np.diff(np.append(self._starts, len(power)))
        levels = 10 * np.log10(np.add.reduceat(power, self._starts) / widths + 1e-18)
        index = np.clip(np.round(levels).astype(np.intp) - _LOWEST, 0, _LEVELS - 1)
        self._counts[np.arange(len(index)), index] += 1


def _cliff(levels: NDArray[np.int64]) -> int | None:
    """The band at which the level falls steepest for good, if that is a cliff."""
    highest_above = np.maximum.accumulate(levels[::-1])[::-1]
    places = range(_UNDER, len(levels) - _OVER - _UNDER)
    drops = [levels[place - _UNDER : place].min() - highest_above[place + _OVER] for place in places]
    if not drops or max(drops) < _CLIFF:
        return None
    return int(np.argmax(drops)) + _UNDER

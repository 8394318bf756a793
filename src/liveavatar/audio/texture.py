"""What a sound without speech is: music, applause and other noise, or none of these."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Samples

Kind = Literal["music", "noise", "other"]

_SIZE, _STEP = 1024, 512  # samples of one spectrum, and from one to the next
_BAND = slice(8, 224)  # bins: 125…3500 Hz, which a telephone carries too
_AUDIBLE = 1e-5  # mean power of a spectrum's samples below which it is silence: -50 dB
_BINS = 50
_NOISY = 0.2  # flatness of most spectra from which a sound is noise
_STEADY = 0.75  # likeness of most neighbouring spectra from which notes are held
_ENOUGH = 15  # spectra: half a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Texture:
    """`kind` is what it would be if it is not speech; `held`, 0…1, how alike neighbouring spectra are.

    Clear speech holds a spectrum to about 0.6, in a room with an echo to 0.7 and more, under noise to less.
    """

    kind: Kind
    held: float


class TextureMeter:
    """Measures the `Texture` of one stream at 16 kHz. Any chunking gives the same."""

    def __init__(self) -> None:
        self._waiting = np.empty(0, np.float32)
        self._window = np.hanning(_SIZE).astype(np.float32)
        self._flatness = np.zeros(_BINS, np.int64)
        self._likeness = np.zeros(_BINS, np.int64)
        self._last: NDArray[np.float64] | None = None

    def push(self, samples: Samples) -> None:
        """Hear float32 [n]."""
        self._waiting = np.concatenate([self._waiting, samples])
        count = (len(self._waiting) - _SIZE) // _STEP + 1
        if count <= 0:
            return
        frames = np.lib.stride_tricks.sliding_window_view(self._waiting, _SIZE)[::_STEP][:count]
        for frame in frames:
            self._look(frame)
        self._waiting = self._waiting[count * _STEP :]

    def finish(self) -> Texture | None:
        """What it is most of the time; None when hardly anything is heard."""
        if min(self._flatness.sum(), self._likeness.sum()) < _ENOUGH:
            return None
        held = _median(self._likeness)
        if _median(self._flatness) >= _NOISY:
            return Texture(kind="noise", held=held)
        return Texture(kind="music" if held >= _STEADY else "other", held=held)

    def _look(self, frame: Samples) -> None:
        if float(np.square(frame).mean()) < _AUDIBLE:
            self._last = None
            return
        power = np.square(np.abs(np.fft.rfft(frame * self._window)))[_BAND] + 1e-12
        levels = np.log(power, dtype=np.float64)
        _count(self._flatness, float(np.exp(levels.mean()) / power.mean()))
        shape = levels - levels.mean()
        shape /= np.sqrt(shape @ shape) + 1e-12
        if self._last is not None:
            _count(self._likeness, float(shape @ self._last))
        self._last = shape


def _count(histogram: NDArray[np.int64], share: float) -> None:
    histogram[min(max(int(share * _BINS), 0), _BINS - 1)] += 1


def _median(histogram: NDArray[np.int64]) -> float:
    return float((histogram.cumsum() >= histogram.sum() / 2).argmax() + 0.5) / _BINS

"""Log-mel features at 100 Hz, relative to how loud the speaker has been.

Step k is seen through a window of 400 samples centred on it, [160k - 120, 160k + 280). The level reference
rises with the loudest speech and forgets slowly, so that neither the microphone's gain nor a pause changes
the picture.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.frames import Samples
from liveavatar.speech.track import STEP
from liveavatar.timeline import SAMPLE_RATE

WINDOW = 400
BEFORE = (WINDOW - STEP) // 2
"""Samples before a step that its window reaches back; as many follow the step."""

BANDS = 48
LOWEST, HIGHEST = 60.0, 7600.0
FFT = 512
FLOOR = 1e-10
"""Power added to every band: about -100 dBFS, under which nothing is told apart."""

QUIETEST = -45.0
"""dB: the reference never falls below this, so that hiss in silence is not mistaken for a whisper."""

EXPECTED = -25.0
"""dB: the reference before anything was heard, a little under the -19 dB at which speech of -20 LUFS settles, the level
that the front end gives it. From the quietest up, a room's noise before the first word would be taken for speech."""

ATTACK = 0.25
"""Share of the way the reference rises in a step towards a louder sound, so that a click does not count."""

FORGET = 0.03
"""dB a step by which the reference falls, 3 dB a second."""


def hertz_to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mel scale of O'Shaughnessy (1987), 2595·log10(1 + f/700)."""
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


QUIET = -0.2
"""What `relative` gives for a band 30 dB under the reference: a room's noise is no louder, what is louder has begun."""


@cache
def mel_filters() -> NDArray[np.float32]:
    """Triangular filters of equal width in mel, each with a peak of 1, [257, BANDS]."""
    ends = hertz_to_mel(np.array([LOWEST, HIGHEST]))
    edges = np.linspace(ends[0], ends[1], BANDS + 2)
    bins = hertz_to_mel(np.arange(FFT // 2 + 1) * SAMPLE_RATE / FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)), np.float32)


@cache
def _taper() -> NDArray[np.float32]:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    return np.asarray(hann / np.sqrt(FFT * np.sum(hann**2)), np.float32)


def windows(samples: Samples) -> NDArray[np.float32]:
    """The windows of all ceil(samples / 160) steps of a whole recording, [n, 400]."""
    steps = -(-len(samples) // STEP)
    padded = np.zeros(steps * STEP + WINDOW, np.float32)
    padded[BEFORE : BEFORE + len(samples)] = samples
    return sliding_window_view(padded, WINDOW)[::STEP][:steps]


def times(rows: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows @ weight` one row at a time, so that a row's bits do not depend on how many come with it: a product of
    whole matrices rounds differently for different numbers of rows."""
    return np.asarray(np.matmul(rows[:, None, :], weight)[:, 0], np.float32)


def log_mel(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windows of sound [n, 400] to decibels in mel bands [n, BANDS]."""
    spectrum = np.fft.rfft(windows * _taper(), FFT)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return np.asarray(10.0 * np.log10(times(power, mel_filters()) + FLOOR), np.float32)


def loudness(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Decibels of all bands together, [n]."""
    return np.asarray(10.0 * np.log10(np.sum(10.0 ** (mel / 10.0), axis=1)), np.float32)


class LevelReference:
    """How loud the speaker's loud passages are, step by step, from the past alone."""

    def __init__(self) -> None:
        self._reference = EXPECTED

    def follow(self, level: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reference in dB at each step, given the steps' loudness in dB, [n]."""
        out = np.empty_like(level)
        for i, value in enumerate(level.tolist()):
            rise = max(0.0, value - self._reference) * ATTACK
            self._reference = max(self._reference + (rise or -FORGET), QUIETEST)
            out[i] = self._reference
        return out


QUIETER, LOUDER = 0.1, 0.006
"""Share of the way the noise floor of a band goes in a step towards something quieter, and towards something louder."""

FAMILIAR = 0.01
"""Share of the way a band's mean goes in a step towards what is heard, when that is as loud as the speaker gets."""


class Surroundings:
    """What every band is like apart from what is being said: how quiet it gets, which is the room's noise, and what it
    is on average while somebody speaks, which is voice and microphone; step by step, from the past alone."""

    def __init__(self) -> None:
        self._floor = self._mean = np.full(BANDS, np.nan, np.float32)
        self._voiced = 0.0

    def follow(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """Floor and mean at each step of relative log-mel [n, 48], side by side, [n, 96]."""
        out = np.empty((len(seen), 2 * BANDS), np.float32)
        voiced = np.minimum(seen.max(axis=1, initial=0.0), 1.0).tolist()
        if len(seen) and np.isnan(self._floor[0]):
            self._floor = self._mean = seen[0]
        for row, share, there in zip(seen, voiced, out, strict=True):
            above = row - self._floor
            self._floor = self._floor + np.minimum(QUIETER * above, LOUDER * above)
            self._voiced += share
            self._mean = self._mean + max(FAMILIAR * share, share / (1.0 + self._voiced)) * (row - self._mean)
            there[:BANDS], there[BANDS:] = self._floor, self._mean
        return out


def before(first: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """What to take for heard before the `first` step [1, 48] of relative log-mel: a room as quiet as that, and known to
    be, side by side with its `Surroundings`, [steps, 144]."""
    return np.tile(np.minimum(first, QUIET), (steps, 3))


def relative(mel: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel decibels to what the network sees: about -2…1, 1 where a band is as loud as the reference."""
    raised = (mel - reference[:, None]) / 25.0 + 1.0
    return np.asarray(np.minimum(np.maximum(raised, -2.0), 1.5), np.float32)

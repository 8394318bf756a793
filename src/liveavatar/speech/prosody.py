"""Melody and stress of the voice at 100 Hz: pitch relative to the speaker, and prominence.

Pitch is the first strong peak of the normalised square difference function (McLeod & Wyvill, "A smarter
way to find pitch", 2005), on 50 ms of sound at 8 kHz.
"""

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.spectrum import interpolate_peak

PITCH_WINDOW_SAMPLES = 800
"""Samples at 16 kHz, centred on the step."""

PITCH_SAMPLE_RATE = 8_000
MIN_LAG, MAX_LAG = 18, 130
"""Lags at 8 kHz: pitches from 444 down to 62 Hz."""

FFT_SIZE = 540
MIN_CLARITY = 0.55
"""Least height of a peak that counts as voice."""

PEAK_RATIO = 0.88
"""The first peak this close to the highest one is the period; later ones are its multiples."""

STEADY_PITCH_RATIOS = (0.84, 1.19)
"""How much a voice's pitch changes from one step to the next at most, three semitones; anything else is a mistake."""

MAX_LEAP_SEMITONES = 10.0
"""Semitones from the median beyond which an octave was mistaken."""

AUDIBLE_DB = -32.0
"""dB relative to the speaker's loud passages, under which nothing is called voice."""

ENERGY_RANGE_DB = 40.0


def find_pitch(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hertz of each window of sound [n, 800]; 0 where there is no clear period."""
    if not len(windows):
        return np.zeros(0, np.float32)
    similarity = _compute_square_difference((windows[:, 0::2] + windows[:, 1::2]) * np.float32(0.5))
    middle = similarity[:, 1:-1]
    peaks = (middle > MIN_CLARITY) & (middle >= similarity[:, :-2]) & (middle > similarity[:, 2:])
    if not peaks.any():
        return np.zeros(len(windows), np.float32)
    heights = np.where(peaks, middle, 0.0)
    good = heights >= np.maximum(PEAK_RATIO * heights.max(axis=1, keepdims=True), MIN_CLARITY)
    first = np.argmax(good, axis=1)
    row = np.arange(len(windows))
    lag = (
        MIN_LAG
        + 1
        + first
        + interpolate_peak(similarity[row, first], middle[row, first], similarity[row, first + 2], 0.5)
    )
    return np.where(good.any(axis=1), PITCH_SAMPLE_RATE / lag, 0.0).astype(np.float32)


def _compute_square_difference(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalised similarity of each row with itself, 1 … -1, for lags SHORTEST…LONGEST."""
    size = sound.shape[1]
    sound = sound - (sound.sum(axis=1) / np.float32(size))[:, None]
    spectrum = np.fft.rfft(sound, FFT_SIZE)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, FFT_SIZE)[:, MIN_LAG : MAX_LAG + 1]
    squares = np.cumsum(sound.astype(np.float64) ** 2, axis=1)
    early = squares[:, size - 1 - MAX_LAG : size - MIN_LAG][:, ::-1]
    late = squares[:, -1:] - squares[:, MIN_LAG - 1 : MAX_LAG]
    return np.asarray(2.0 * products / (early + late + 1e-7), np.float32)


class RunningMedian:
    """Median of a voice's pitch so far, older speech counting less: a fading histogram of half semitones."""

    def __init__(self) -> None:
        self._counts = np.zeros(96)

    def update_median(self, semitone: float) -> float:
        """Add one value, semitones above 55 Hz, and return the median now."""
        self._counts *= 0.998
        self._counts[int(min(max(2 * semitone, 0), 95))] += 1.0
        total = np.cumsum(self._counts)
        return (float(np.searchsorted(total, 0.5 * total[-1])) + 0.5) / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prosody:
    """The prosodic columns of `Speech`, [n] each."""

    energy: NDArray[np.float32]
    pitch: NDArray[np.float32]
    emphasis: NDArray[np.float32]


class ProsodyTracker:
    """Follows one speaker; all its state comes from the past."""

    def __init__(self) -> None:
        self._median = RunningMedian()
        self._previous_hertz = 0.0
        self._usual_energy = 0.6
        self._emphasis = 0.0

    def track_prosody(
        self, hertz: NDArray[np.float32], level: NDArray[np.float32], reference: NDArray[np.float32]
    ) -> Prosody:
        """Prosody of steps with pitch `hertz` (0: none), loudness `level` and its `reference`, both in dB."""
        raised = (level - reference) / ENERGY_RANGE_DB + 1.0
        energy = np.minimum(np.maximum(raised, 0.0), 1.0).astype(np.float32)
        audible = np.where(level - reference > AUDIBLE_DB, hertz, 0.0)
        pitch = np.array([self._to_relative_pitch(value) for value in audible.tolist()])
        emphasis = [self._update_emphasis(e, p) for e, p in zip(energy.tolist(), pitch.tolist(), strict=True)]
        return Prosody(energy=energy, pitch=pitch.astype(np.float32), emphasis=np.array(emphasis, np.float32))

    def _to_relative_pitch(self, hertz: float) -> float:
        """Semitones from the median; 0 unless the step before had about the same pitch."""
        before, self._previous_hertz = self._previous_hertz, hertz
        if not before * STEADY_PITCH_RATIOS[0] < hertz < before * STEADY_PITCH_RATIOS[1]:
            return 0.0
        semitone = 12.0 * log2(hertz / 55.0)
        away = semitone - self._median.update_median(semitone)
        return away - np.sign(away) * 12.0 if abs(away) > MAX_LEAP_SEMITONES else away

    def _update_emphasis(self, energy: float, pitch: float) -> float:
        if energy > 0.4:
            self._usual_energy += 0.005 * (energy - self._usual_energy)
        louder = min(max((energy - self._usual_energy) / 0.2, 0.0), 1.0)
        higher = min(max(pitch / 5.0, 0.0), 1.0)
        target = min(1.0, 0.6 * higher + 0.4 * louder) if energy > 0.4 else 0.0
        speed = 0.15 if target > self._emphasis else 0.04
        self._emphasis += speed * (target - self._emphasis)
        return self._emphasis

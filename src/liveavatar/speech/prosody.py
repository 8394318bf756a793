"""Prosody at 100 Hz: energy, pitch relative to the speaker, and emphasis.

Pitch is the first strong peak of the normalised square difference function (McLeod and Wyvill, "A smarter way to find
pitch", 2005), on 50 ms of sound at 8 kHz.
"""

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.spectral.spectrum import interpolate_peak

PITCH_WINDOW_SAMPLES = 800
"""Samples at 16 kHz, centred on the step."""

PITCH_SAMPLE_RATE = 8_000
MIN_LAG, MAX_LAG = 18, 130
"""Lags at 8 kHz: pitches from 444 down to 62 Hz."""

FFT_SIZE = 540
MIN_CLARITY = 0.55
"""Least height of a peak that counts as voiced."""

PEAK_RATIO = 0.88
"""The first peak of at least this share of the highest one is the period; later ones are its multiples."""

STEADY_PITCH_RATIOS = (0.84, 1.19)
"""Limits of the ratio of pitches of consecutive steps, three semitones; anything beyond is an error."""

MAX_LEAP_SEMITONES = 10.0
"""Distance from the median beyond which the pitch is taken for an octave error."""

AUDIBLE_DB = -32.0
"""Level relative to the speaker's loud passages below which nothing counts as voiced."""

ENERGY_RANGE_DB = 40.0

MEDIAN_BASE_HERTZ = 55.0
MEDIAN_BINS = 96
"""Half semitones above the base: four octaves."""

MEDIAN_DECAY = 0.998
"""Factor of older values in each step."""

SPEECH_ENERGY = 0.4
"""Energy above which a step counts as speech in the emphasis."""

INITIAL_ENERGY, ENERGY_RATE = 0.6, 0.005
"""Start of the running mean of the energy of speech, and its rate a step."""

FULL_ENERGY_RISE, FULL_PITCH_RISE = 0.2, 5.0
"""Energy above the mean, and semitones above the median, of full emphasis."""

ENERGY_WEIGHT, PITCH_WEIGHT = 0.4, 0.6

EMPHASIS_ATTACK, EMPHASIS_RELEASE = 0.15, 0.04
"""Share of the way that the emphasis rises, and falls, in a step."""


def find_pitch(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pitch in hertz of each window of sound [n, 800]; 0 without a clear period."""
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
    place = interpolate_peak(similarity[row, first], middle[row, first], similarity[row, first + 2], 0.5)
    lag = MIN_LAG + 1 + first + place
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
    """Median of the pitch of one speaker, from a histogram of half semitones that decays."""

    def __init__(self) -> None:
        self._counts = np.zeros(MEDIAN_BINS)

    def update_median(self, semitone: float) -> float:
        """Add one value in semitones above 55 Hz; returns the new median."""
        self._counts *= MEDIAN_DECAY
        self._counts[int(min(max(2 * semitone, 0), MEDIAN_BINS - 1))] += 1.0
        total = np.cumsum(self._counts)
        return (float(np.searchsorted(total, 0.5 * total[-1])) + 0.5) / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prosody:
    """The prosodic columns of `SpeechTrack`, [n] each."""

    energy: NDArray[np.float32]
    pitch: NDArray[np.float32]
    emphasis: NDArray[np.float32]


class ProsodyTracker:
    """Computes the prosody of one stream, from the past alone."""

    def __init__(self) -> None:
        self._median = RunningMedian()
        self._previous_hertz = 0.0
        self._mean_energy = INITIAL_ENERGY
        self._emphasis = 0.0

    def track_prosody(
        self, hertz: NDArray[np.float32], level: NDArray[np.float32], reference: NDArray[np.float32]
    ) -> Prosody:
        """Prosody of n steps with pitch `hertz` (0 without voice), loudness `level` and its `reference`, both in dB."""
        relative = (level - reference) / ENERGY_RANGE_DB + 1.0
        energy = np.minimum(np.maximum(relative, 0.0), 1.0).astype(np.float32)
        audible = np.where(level - reference > AUDIBLE_DB, hertz, 0.0)
        pitch = np.array([self._to_relative_pitch(value) for value in audible.tolist()])
        emphasis = [self._update_emphasis(e, p) for e, p in zip(energy.tolist(), pitch.tolist(), strict=True)]
        return Prosody(energy=energy, pitch=pitch.astype(np.float32), emphasis=np.array(emphasis, np.float32))

    def _to_relative_pitch(self, hertz: float) -> float:
        """Semitones from the median; 0 unless the step before has about the same pitch."""
        before, self._previous_hertz = self._previous_hertz, hertz
        if not before * STEADY_PITCH_RATIOS[0] < hertz < before * STEADY_PITCH_RATIOS[1]:
            return 0.0
        semitone = 12.0 * log2(hertz / MEDIAN_BASE_HERTZ)
        away = semitone - self._median.update_median(semitone)
        return away - np.sign(away) * 12.0 if abs(away) > MAX_LEAP_SEMITONES else away

    def _update_emphasis(self, energy: float, pitch: float) -> float:
        is_speech = energy > SPEECH_ENERGY
        if is_speech:
            self._mean_energy += ENERGY_RATE * (energy - self._mean_energy)
        louder = min(max((energy - self._mean_energy) / FULL_ENERGY_RISE, 0.0), 1.0)
        higher = min(max(pitch / FULL_PITCH_RISE, 0.0), 1.0)
        target = min(1.0, PITCH_WEIGHT * higher + ENERGY_WEIGHT * louder) if is_speech else 0.0
        rate = EMPHASIS_ATTACK if target > self._emphasis else EMPHASIS_RELEASE
        self._emphasis += rate * (target - self._emphasis)
        return self._emphasis
